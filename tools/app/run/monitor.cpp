#include "tools/app/run/monitor.h"

#include <csignal>
#include <nlohmann/json.hpp>

#include "graph/contract/log.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/run/stalls.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

std::atomic<int> asked{0};  // how often SIGUSR1 came

void ask(int) { asked.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

Monitor::Monitor(const Engine& engine, Options options)
    : engine_(engine), options_(std::move(options)), last_move_(Clock::now().time_since_epoch().count()) {
  thread_ = std::jthread([this, log = thread_log()](const std::stop_token& stop) {
    thread_log() = log;
    watch(stop);
  });
  if (options_.directory.empty()) return;
  struct sigaction action {};  // not removed: a query may still come while the process ends
  action.sa_handler = ask;
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  holder_ = std::make_unique<io::RunHolder>(options_.directory / process_name);
  if (options_.endpoint) options_.endpoint->serve([this] { return prometheus_text(status()); });
}

Monitor::~Monitor() { options_.endpoint.reset(); }

void Monitor::step(const StepContext& context) {
  moved();
  step_.store(context.step, std::memory_order_relaxed);
  images_.store(context.images, std::memory_order_relaxed);
  if (const auto loss = context.reports.find("loss"); loss != context.reports.end()) loss_.store(loss->second, std::memory_order_relaxed);
  if (const double passed = context.seconds - rate_seconds_; passed > 3 || rate_seconds_ == 0) {
    if (rate_seconds_ > 0) rate_.store(static_cast<double>(context.images - rate_images_) / passed, std::memory_order_relaxed);
    rate_seconds_ = context.seconds, rate_images_ = context.images;
  }
}

ordered_json Monitor::status() const {
  ordered_json out = {{"run", options_.directory.string()},
                      {"asked", asked.load()},
                      {"step", step_.load()},
                      {"last_step", engine_.info().last_step},
                      {"images", images_.load()},
                      {"images_per_second", rate_.load()},
                      {"loss", loss_.load()},
                      {"still_seconds", std::chrono::duration<double>(Clock::now().time_since_epoch() - Clock::duration(last_move_.load())).count()}};
  out.update(engine_.status_json());
  return out;
}

void Monitor::write_status(const ordered_json& status) const {
  if (options_.directory.empty()) return;
  try {
    io::write_file_atomic(options_.directory / status_text_name, status_text(status));
    io::write_file_atomic(options_.directory / status_json_name, json_text(status, 2) + "\n");
  } catch (const std::exception& error) {
    log_warning(std::string("the status can't be written: ") + error.what());
  }
}

void Monitor::watch(const std::stop_token& stop) {
  int answered = asked.load();
  Stalls stalls(options_.stall_after);
  const auto seconds = [](Clock::duration since) { return std::chrono::duration<double>(since).count(); };
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (const int now = asked.load(); now != answered) answered = now, write_status(status());
    const double moved = seconds(Clock::duration(last_move_.load(std::memory_order_relaxed))), at = seconds(Clock::now().time_since_epoch());
    if (!stalls.due(at, moved)) continue;
    const ordered_json now = status();
    write_status(now);
    char head[128];
    std::snprintf(head, sizeof head, "no progress for %.0f s (run.stall_after); the run goes on. Its state:\n", at - moved);
    log_warning(head + status_text(now));
  }
}

}  // namespace flowrun::app
