#include "nodes/lib/tensor/device/barrier_waits.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sched.h>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "graph/contract/context.h"
#include "graph/contract/device.h"
#include "graph/contract/log.h"

namespace flowrun {
namespace {

constexpr std::chrono::milliseconds pause{250};
constexpr int calm_readings = 8;  // in a row, after which the threads spin again

using GompParallel = void (*)(void (*work)(void*), void* data, unsigned threads, unsigned flags);

/// The entry of GNU's OpenMP library that starts a team; its interface to compilers, and stable. Null: there is another library.
GompParallel gomp_parallel() {
  if (dlsym(RTLD_DEFAULT, "__kmpc_fork_call") != nullptr) return nullptr;       // LLVM's library exports GNU's names, too
  return reinterpret_cast<GompParallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));  // NOLINT(cppcoreguidelines-pro-type-reinterpret-cast)
}

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> out;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) out.push_back(core);
  }
  return out;
}

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); }

/// Seconds for which threads of this process were ready and had no core.
double delayed_seconds() {
  double sum = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream line(task.path() / "schedstat");  // nanoseconds on a core, and waiting for one
    uint64_t ran = 0, waited = 0;
    if (line >> ran >> waited) sum += 1e-9 * static_cast<double>(waited);
  }
  return sum;
}

CpuTimes read(const std::vector<int>& cores) {
  std::ifstream file("/proc/stat");
  std::stringstream text;
  text << file.rdbuf();
  CpuTimes out = parse_proc_stat(text.str(), cores, static_cast<double>(sysconf(_SC_CLK_TCK)));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.own = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  out.delayed = delayed_seconds();
  return out;
}

/// OpenMP threads that sleep, one more than there are cores, for the time of its life.
class Sleepers {
 public:
  explicit Sleepers(GompParallel start)
      : thread_([this, start] {
          start([](void*) {}, nullptr, static_cast<unsigned>(available_cores()) + 1, 0);
          std::unique_lock lock(mutex_);
          wakes_.wait(lock, [&] { return ends_; });
        }) {}
  ~Sleepers() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    wakes_.notify_one();
    thread_.join();  // the team ends with the thread that started it
  }
  Sleepers(const Sleepers&) = delete;
  Sleepers& operator=(const Sleepers&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wakes_;
  bool ends_ = false;
  std::thread thread_;
};

void say(bool sleeps) {
  if (sleeps) return log_info("other programs want the cores: threads sleep at their barriers as long as that lasts");
  log_info("other programs want the cores, but threads spin at the barriers of this OpenMP library: set OMP_WAIT_POLICY=passive before the start");
}

}  // namespace

CpuTimes parse_proc_stat(const std::string& text, const std::vector<int>& cores, double tick) {
  CpuTimes out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("cpu") || line.starts_with("cpu ")) continue;
    std::istringstream fields(line.substr(3));
    int core = -1;
    double user = 0, nice = 0, system = 0, idle = 0, io = 0, irq = 0, soft = 0, stolen = 0;
    fields >> core >> user >> nice >> system >> idle >> io >> irq >> soft >> stolen;
    if (std::find(cores.begin(), cores.end(), core) == cores.end()) continue;
    out.busy += (user + nice + system + irq + soft + stolen) / tick;
    out.idle += (idle + io) / tick;
  }
  return out;
}

bool crowded(const CpuTimes& before, const CpuTimes& now) {
  const double busy = now.busy - before.busy, idle = now.idle - before.idle, own = now.own - before.own, delayed = now.delayed - before.delayed;
  const double all = busy + idle;
  if (all <= 0) return false;
  return busy - own > 0.1 * all && idle < 0.1 * all && delayed > 0.2 * own;
}

BarrierWaits::BarrierWaits() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  thread_ = std::thread([this, log = thread_log()] {
    thread_log() = log;
    watch();
  });
}

BarrierWaits::~BarrierWaits() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  wakes_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void BarrierWaits::watch() {
  const std::vector<int> cores = allowed_cores();
  const GompParallel start = gomp_parallel();
  std::optional<Sleepers> sleepers;
  bool said = false;
  CpuTimes before = read(cores);
  if (before.busy + before.idle <= 0) return;
  int calm = 0;
  std::unique_lock lock(mutex_);
  while (!wakes_.wait_for(lock, pause, [&] { return ends_; })) {
    const CpuTimes now = read(cores);
    const bool crowds = crowded(before, now);
    if (crowds && !std::exchange(said, true)) say(start != nullptr);
    if (crowds && start != nullptr && !sleepers) sleepers.emplace(start);
    calm = crowds ? 0 : calm + 1;
    if (calm >= calm_readings) sleepers.reset();
    before = now;
  }
}

}  // namespace flowrun
