// What the engine asks of the layer that owns tensors. nodes/device registers the real one; without it (graph/ alone)
// there is a plain CPU.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "graph/contract/context.h"
#include "graph/contract/run_params.h"

namespace flowrun {

/// Work of the device's thread that can be done again without the host's part of it. Used, and destroyed, on that thread.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Submits the same work, on the same memory.
  virtual void play() = 0;
};

/// What came of recording: `recording` is empty if `why_not` says why there is none.
struct Recorded {
  std::unique_ptr<Recording> recording;
  std::string why_not;
  bool gains_nothing = false;  // the recording would be right, but no faster
};

class DeviceRuntime {
 public:
  virtual ~DeviceRuntime() = default;
  /// Replaces "auto" and 0 in device, precision and intra_op by what this machine has; throws PipelineError when
  /// what is asked for is not there.
  virtual void resolve(RunParams& run);
  /// Before resolve(), when several ranks are on this machine: each takes a device of its own, and its part of the cores.
  virtual void share_machine(int local_rank, int local_world);
  /// First call on the thread that will run all device and step nodes.
  virtual void enter(const RunParams& run);
  /// Last call on that thread: whatever was submitted has ended.
  virtual void leave();
  /// Around the work of a node on that thread, for the device's own profiler.
  virtual void begin_range(const std::string& node, int64_t step);
  virtual void end_range();
  /// Why nothing can be recorded on this device; empty: it can. After resolve().
  virtual std::string cannot_record(const RunParams& run) const;
  /// How many recordings are worth their memory, where it can record.
  virtual size_t recordings(const RunParams& run) const;
  /// Records `work` and plays it. `compare`: does it both ways, submits it first and takes back what it changed; a recording
  /// that gives other results is refused, and one that would be no faster. What `work` throws when it is submitted passes
  /// through; the work is done once in any case.
  virtual Recorded record(const std::function<void()>& work, bool compare);
  /// On that thread, after each group: its work is submitted. May wait until the device has come closer.
  virtual void group_submitted();
  /// How often work has made the host wait for the device so far, in this process, but for waits that recording takes; 0 where
  /// host and device are one.
  virtual int64_t synchronisations() const;
  /// First call on each data thread.
  virtual void enter_data_thread();
};

/// Cores that this process may use: its affinity, and its control group's share.
int available_cores();

/// The last one registered wins.
void register_device_runtime(DeviceRuntime& runtime);
DeviceRuntime& device_runtime();

}  // namespace flowrun
