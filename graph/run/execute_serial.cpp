#include <deque>

#include "graph/contract/device.h"
#include "graph/run/execute.h"

namespace flowrun {
namespace {

class SerialExecutor final : public Executor {
 public:
  explicit SerialExecutor(const RunParams& run) : device_(device_runtime(run.device)) { device_.enter(run); }
  ~SerialExecutor() override { device_.leave(); }

  void on_device(const std::function<void()>& work) override { work(); }
  int workers() const override { return 1; }

  std::unique_ptr<StreamRun> run(CheckedPipeline& pipeline, const Plan& plan, const Segment& segment, Stats& stats, StreamOptions options) override {
    options.lanes = 1;
    options.threads = 1;
    Worker worker(stats, 0, options.cpu_readings);
    std::deque<Work> queue;
    auto run = std::make_unique<StreamRun>(pipeline, plan, segment, stats, std::move(options), [&queue](const Work& work) { queue.push_back(work); });
    for (const Work& lane : run->lanes()) queue.push_back(lane);
    // The device has priority: a group is trained as soon as possible.
    while (true) {
      if (run->run_device_task(worker)) continue;
      if (queue.empty()) break;
      const Work work = queue.front();
      queue.pop_front();
      run->run(work, worker);
    }
    return run;
  }

 private:
  DeviceRuntime& device_;
};

}  // namespace

std::unique_ptr<Executor> make_serial_executor(const RunParams& run) { return std::make_unique<SerialExecutor>(run); }

}  // namespace flowrun
