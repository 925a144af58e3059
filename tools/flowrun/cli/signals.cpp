#include "tools/flowrun/cli/signals.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <unistd.h>

#include "io/run/run_directory.h"
#include "tools/app/exit.h"
#include "tools/flowrun/cli/terminal.h"

namespace flowrun::cli {
namespace {

std::atomic<int> opening{0};  // runs of this process that a signal ends at once

void ask_to_stop(int signal) {
  stop_requested().store(true);
  if (signal != SIGINT) return;
  Terminal::disturbed.store(true);
  if (opening.load() > 0) return;
  const char text[] = "\nstopping after this step (Ctrl-C again: at once, without a checkpoint)\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text, sizeof text - 1);
  std::signal(SIGINT, SIG_DFL);
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

std::atomic<bool>& stop_requested() {
  static constinit std::atomic<bool> requested{false};
  return requested;
}

bool hangup_is_ignored() {
  static const bool ignored = is_ignored(SIGHUP);
  return ignored;
}

void calm_signals() {
  hangup_is_ignored();
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGUSR1, SIG_IGN);
}

void catch_stop_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR2}) handle(signal, ask_to_stop);
  if (!hangup_is_ignored()) handle(SIGHUP, ask_to_stop);
}

SignalOpening::SignalOpening(bool alone) {
  if (!alone) return;
  opening.fetch_add(1);
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

void SignalOpening::made(const std::function<const io::RunDirectory*()>& make) {
  const std::lock_guard lock(mutex_);
  directory_ = make();
}

void SignalOpening::forget() {
  const std::lock_guard lock(mutex_);
  directory_ = nullptr;
}

void SignalOpening::end() {
  if (!thread_.joinable()) return;
  opening.fetch_sub(1);
  thread_ = {};
}

void SignalOpening::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (stop_requested().load()) {
      const std::lock_guard lock(mutex_);
      if (directory_ != nullptr) directory_->undo();
      std::fputs("stopped while it opened: nothing was run\n", stderr);
      _exit(app::exit_stopped);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace flowrun::cli
