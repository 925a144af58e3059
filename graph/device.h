// What the engine asks of the layer that owns tensors. nodes/device registers the real one; without it (graph/ alone)
// there is a plain CPU.
#pragma once

#include <string>

#include "graph/context.h"
#include "graph/validate.h"

namespace flowrun {

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
  /// How often the host has waited for the device so far, in this process; 0 where they are one.
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
