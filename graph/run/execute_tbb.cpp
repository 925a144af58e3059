#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>
#include <thread>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#include "graph/contract/device.h"
#include "graph/contract/log.h"
#include "graph/run/execute.h"
#include "graph/run/read_ahead.h"

namespace flowrun {
namespace {

namespace flow = oneapi::tbb::flow;

// libtbb is not instrumented, so the thread sanitizer must be told about its hand-overs between threads.
#if defined(__SANITIZE_THREAD__)
void hands_over(void* what) { __tsan_release(what); }
void takes_over(void* what) { __tsan_acquire(what); }
#else
void hands_over(void*) {}
void takes_over(void*) {}
#endif

/// One thread that runs what it is given, in order.
class DeviceThread {
 public:
  explicit DeviceThread(const RunParams& run)
      : thread_([this, run, log = thread_log()] {
          thread_log() = log;
          loop(run);
        }) {}
  ~DeviceThread() {
    post(nullptr);
    thread_.join();
  }

  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    wakes_.notify_one();
  }

  void run(const std::function<void()>& work) {
    std::mutex mutex;
    std::condition_variable done;
    bool ended = false;
    std::exception_ptr error;
    post([&] {
      try {
        work();
      } catch (...) {
        error = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      ended = true;
      done.notify_one();
    });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return ended; });
    if (error) std::rethrow_exception(error);
  }

 private:
  void loop(const RunParams& run) {
    DeviceRuntime& device = device_runtime(run.device);
    device.enter(run);
    while (true) {
      std::unique_lock lock(mutex_);
      wakes_.wait(lock, [&] { return !queue_.empty(); });
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (!work) break;
      work();
    }
    device.leave();
  }

  std::mutex mutex_;
  std::condition_variable wakes_;
  std::deque<std::function<void()>> queue_;
  std::thread thread_;
};

class DataThreads final : public oneapi::tbb::task_scheduler_observer {
 public:
  DataThreads(oneapi::tbb::task_arena& arena, DeviceRuntime& device) : task_scheduler_observer(arena), device_(device), log_(thread_log()) {
    hands_over(this);
    observe(true);
  }
  ~DataThreads() override {
    observe(false);  // and waits for the threads inside
    takes_over(this);
  }
  void on_scheduler_entry(bool) override {
    takes_over(this);
    thread_log() = log_;  // a thread of the pool may come from another run
    device_.enter_data_thread();
    hands_over(this);
  }

 private:
  DeviceRuntime& device_;
  Log log_;
};

/// The pool part of a segment as a flow graph: a node per task, which takes the handle of a record. The joins are the
/// records' counts (StreamRun), so a message is one pointer and never waits in a buffer.
class PoolGraph {
 public:
  PoolGraph(const Plan&, const Segment& segment, std::vector<Worker>& workers) : workers_(workers) {
    lane_.emplace(graph_, flow::unlimited, [this](Record* record) {
      takes_over(record);
      run({sample_level, -1, record});
      return flow::continue_msg();
    });
    take_.emplace(graph_, flow::unlimited, [this](Record* record) {
      takes_over(record);
      run({group_level, -1, record});
      return flow::continue_msg();
    });
    for (const int l : {sample_level, group_level}) {
      const auto& tasks = segment.stream->level[l].tasks;
      for (int t = 0; t < static_cast<int>(tasks.size()); ++t) {
        nodes_[l].push_back(std::make_unique<Node>(graph_, flow::unlimited, [this, l, t](Record* record) {
          takes_over(record);
          run({l, t, record});
          return flow::continue_msg();
        }));
      }
    }
  }

  void start(StreamRun& run) { run_ = &run; }
  void spawn(const Work& work) {
    hands_over(work.record);
    Node& first = work.level == sample_level ? *lane_ : *take_;
    (work.task < 0 ? first : *nodes_[work.level][static_cast<size_t>(work.task)]).try_put(work.record);
  }
  flow::graph& graph() { return graph_; }
  /// The last access from outside: from here on wait() may return. A frame of its own, for tests/support/tsan.supp.
  [[gnu::noinline]] void release() {
    hands_over(this);
    graph_.release_wait();
  }
  void wait() {
    graph_.wait_for_all();
    takes_over(this);
  }

 private:
  using Node = flow::function_node<Record*, flow::continue_msg>;

  void run(const Work& work) {
    const int index = oneapi::tbb::this_task_arena::current_thread_index();
    Worker& worker = workers_[static_cast<size_t>(index)];  // a place in the arena may change its thread
    takes_over(&worker);
    run_->run(work, worker);
    hands_over(&worker);
    hands_over(this);
  }

  flow::graph graph_;
  std::optional<Node> lane_, take_;
  std::vector<std::unique_ptr<Node>> nodes_[2];
  std::vector<Worker>& workers_;
  StreamRun* run_ = nullptr;
};

class TbbExecutor final : public Executor {
 public:
  TbbExecutor(const RunParams& run, int threads) : threads_(threads), arena_(threads), observer_(arena_, device_runtime(run.device)), device_(run) {}

  void on_device(const std::function<void()>& work) override { device_.run(work); }
  int workers() const override { return threads_ + 1; }

  std::unique_ptr<StreamRun> run(CheckedPipeline& pipeline, const Plan& plan, const Segment& segment, Stats& stats, StreamOptions options) override {
    // One lane more than threads: a lane parks while the others go on.
    options.lanes = threads_ + 1;
    options.threads = threads_;
    std::vector<Worker> workers;
    for (int w = 0; w < threads_; ++w) workers.emplace_back(stats, w, options.cpu_readings);
    Worker device_worker(stats, threads_, options.cpu_readings);
    const int64_t ahead = options.takes != nullptr ? 0 : pipeline.run.read_ahead;
    const ReadAhead::Options reading{.distance = ahead == automatic ? 64 : ahead, .when_slow = ahead == automatic, .seed = options.seed};
    std::unique_ptr<StreamRun> run;
    arena_.execute([&] {
      PoolGraph pool(plan, segment, workers);
      run = std::make_unique<StreamRun>(pipeline, plan, segment, stats, std::move(options), [&pool](const Work& work) { pool.spawn(work); });
      pool.start(*run);
      pool.graph().reserve_wait();
      device_.post([&] {
        while (run->wait_for_device_task()) {
          while (run->run_device_task(device_worker)) {
          }
        }
        pool.release();
      });
      const ReadAhead read_ahead(
          pipeline, segment, stats, [&run] { return run->samples_taken(); }, reading);
      for (const Work& lane : run->lanes()) pool.spawn(lane);
      pool.wait();
    });
    return run;
  }

 private:
  int threads_;
  oneapi::tbb::task_arena arena_;
  DataThreads observer_;
  DeviceThread device_;
};

}  // namespace

std::unique_ptr<Executor> make_tbb_executor(const RunParams& run, int threads) { return std::make_unique<TbbExecutor>(run, threads); }

}  // namespace flowrun
