// The engine's interface to devices: the layer that owns tensors registers one runtime for each kind of device. Without that
// layer (graph/ alone) there is a plain CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/contract/run_params.h"

namespace flowrun {

/// Recorded work of the device's thread, which can be played without the host's part of it. Used and destroyed on that
/// thread.
class Recording {
 public:
  virtual ~Recording() = default;
  /// Submits the same work, on the same memory.
  virtual void play() = 0;
};

/// The result of an attempt to record: either `recording`, or the reason against it in `why_not`.
struct Recorded {
  std::unique_ptr<Recording> recording;
  std::string why_not;
  bool gains_nothing = false;  // the recording would be correct, but no faster
};

/// A kind of device.
struct DeviceInfo {
  std::string name = "cpu";                        // as run.device has it
  bool on_host = true;                             // its work uses the host's cores and memory
  int preference = 0;                              // run.device "auto" is the usable kind with the highest
  std::vector<std::string> precisions = {"fp32"};  // as run.precision has them; the first is that of "auto"
};

/// One kind of device of this machine; the base class is the plain CPU.
class DeviceRuntime {
 public:
  explicit DeviceRuntime(DeviceInfo info = {}) : info_(std::move(info)) {}
  virtual ~DeviceRuntime() = default;
  DeviceRuntime(const DeviceRuntime&) = delete;
  DeviceRuntime& operator=(const DeviceRuntime&) = delete;

  const DeviceInfo& info() const { return info_; }
  /// Why this machine can't use it; empty: it can.
  virtual std::string missing() const;
  /// Bytes of one such device's own memory; 0: it uses the host's, or they are not known.
  virtual int64_t memory() const;
  /// Called by resolve_device() once device and precision are known: replaces intra_op 0, and throws PipelineError if this
  /// process can't have what is asked for.
  virtual void resolve(RunParams& run);
  /// Several ranks share this machine: each gets its own device, and its share of the cores.
  virtual void share_machine(int local_rank, int local_world);
  /// Must be the first call on the thread that will run all device and step nodes.
  virtual void enter(const RunParams& run);
  /// Must be the last call on that thread; returns when all submitted work has ended.
  virtual void leave();
  /// Does `work` on that thread, whose results get no gradient history.
  virtual void without_gradients(const std::function<void()>& work);
  /// Called around a node's work on that thread, for the device's own profiler.
  virtual void begin_range(const std::string& node, int64_t step);
  virtual void end_range();
  /// Why nothing can be recorded on this device; empty: recording is possible. Call after resolve().
  virtual std::string cannot_record() const;
  /// How many recordings are worth their memory, on a device that can record.
  virtual size_t recordings() const;
  /// Records `work` and plays it. `compare`: does it both ways. It submits the work first and undoes its changes; a
  /// recording that gives other results, or would be no faster, is refused. Exceptions of submitted `work` pass through. The
  /// work is done exactly once in any case.
  virtual Recorded record(const std::function<void()>& work, bool compare);
  /// Called on that thread after each group, when its work is submitted. May wait until the device has caught up.
  virtual void group_submitted();
  /// How often work has made the host wait for the device so far, in this process, not counting waits that recording needs; 0
  /// where host and device are one.
  virtual int64_t synchronisations() const;
  /// Must be the first call on each data thread.
  virtual void enter_data_thread();

 private:
  DeviceInfo info_;
};

/// Cores that this process may use, by its affinity and its Linux control group.
int available_cores();

/// Adds a kind of device under its name, or takes the place of the one that had the name. Call before main() or from a
/// plug-in.
void register_device(DeviceRuntime& runtime);
/// The kind with that name. Throws PipelineError that lists the names.
DeviceRuntime& device_runtime(const std::string& name);
/// All kinds, those with the lowest preference first.
std::vector<DeviceRuntime*> devices();
/// The kind whose work uses the host's cores and memory: there always is one.
const std::string& host_device();

/// Replaces "auto" and 0 in device, precision and intra_op by values for this machine; throws PipelineError when the machine
/// lacks what is asked for.
void resolve_device(RunParams& run);
/// Call before resolve_device() when several ranks share this machine.
void share_machine(int local_rank, int local_world);

}  // namespace flowrun
