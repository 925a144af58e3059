// The signals that end a run, and how.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "tools/app/run/caller.h"

namespace flowrun::cli {

/// For every command, before main(): reaching a limit on file sizes becomes an error that can be reported, and SIGUSR1, which
/// queries a run's state, ends no process.
void calm_signals();

/// From now on SIGINT, SIGTERM, SIGUSR2 and SIGHUP set stop_requested(). SIGHUP that was ignored when the program began
/// (nohup) stays so.
void catch_stop_signals();
std::atomic<bool>& stop_requested();

/// Whether SIGHUP was ignored before this program touched it.
bool hangup_is_ignored();

/// While a run opens, which can take minutes, and may wait for other ranks, such a signal ends the process at once with
/// status 75; what was made of the run directory is removed again.
class SignalOpening : public app::Opening {
 public:
  /// `alone`: no other run goes on in this process.
  explicit SignalOpening(bool alone);
  ~SignalOpening() override { SignalOpening::end(); }

  /// The signal waits for `make`.
  void made(const std::function<const io::RunDirectory*()>& make) override;
  void forget() override;
  /// From here on a signal makes the run stop after a step.
  void end() override;

 private:
  void watch(const std::stop_token& stop);

  std::mutex mutex_;
  const io::RunDirectory* directory_ = nullptr;
  std::jthread thread_;
};

}  // namespace flowrun::cli
