// A thread that watches a run: it answers queries about the run's state, and reports when there is no progress.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "graph/engine/engine.h"
#include "io/run/run_holder.h"
#include "tools/app/run/endpoint.h"

namespace flowrun::app {

/// On SIGUSR1 it writes status.json and status.txt into the run directory (`flowrun top` uses this). After
/// `stall_after` seconds without progress the log gets the same text, once per stall. An endpoint answers in
/// Prometheus' text format.
class Monitor {
 public:
  struct Options {
    std::filesystem::path directory;     // empty: not rank 0; only stalls are reported, in the log
    double stall_after = 0;              // seconds; 0: never
    std::unique_ptr<Endpoint> endpoint;  // may be null
  };
  /// Starts the thread, and names this process in process.json. Throws Error.
  Monitor(const Engine& engine, Options options);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  /// A step or a batch has ended; any thread.
  void moved() { last_move_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed); }
  void step(const StepContext& context);

 private:
  using Clock = std::chrono::steady_clock;
  void watch(const std::stop_token& stop);
  void write_status(const nlohmann::ordered_json& status) const;
  nlohmann::ordered_json status() const;

  const Engine& engine_;
  Options options_;
  std::atomic<Clock::rep> last_move_;
  std::atomic<int64_t> step_{0}, images_{0};
  std::atomic<double> loss_{0}, rate_{0};
  int64_t rate_images_ = 0;  // the device's thread only, with the next
  double rate_seconds_ = 0;
  std::unique_ptr<io::RunHolder> holder_;
  std::jthread thread_;  // ends first
};

/// The names inside the run directory.
inline constexpr const char *status_json_name = "status.json", *status_text_name = "status.txt", *process_name = "process.json";

/// A status (Engine::status_json, with Monitor's additions) as text.
std::string status_text(const nlohmann::ordered_json& status);
/// A label's value between its quotes, as Prometheus' text format has it.
std::string prometheus_label(const std::string& text);
/// The same as Prometheus' text format has it.
std::string prometheus_text(const nlohmann::ordered_json& status);

}  // namespace flowrun::app
