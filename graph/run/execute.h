// The two executors of one plan. The serial one is the oracle for the parallel one, and the debugger.
#pragma once

#include <functional>
#include <memory>

#include "graph/run/stream.h"

namespace flowrun {

/// The executor of device and step tasks. One per run; all tensor work of a process goes through it, on one thread.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `work` on the device's thread and waits for it; rethrows its exceptions.
  virtual void on_device(const std::function<void()>& work) = 0;
  /// Runs one segment to its end: all steps, a stop request, or a failure (see StreamRun::failure()).
  virtual std::unique_ptr<StreamRun> run(CheckedPipeline& pipeline, const Plan& plan, const Segment& segment, Stats& stats,
                                         StreamOptions options) = 0;
  /// Statistics need a shard per worker.
  virtual int workers() const = 0;
};

/// Runs everything on the calling thread, in one fixed order.
std::unique_ptr<Executor> make_serial_executor(const RunParams& run);

/// Runs a oneTBB flow graph in an arena of `threads` threads (the caller is one of them while it waits), with a
/// separate thread for the device.
std::unique_ptr<Executor> make_tbb_executor(const RunParams& run, int threads);

}  // namespace flowrun
