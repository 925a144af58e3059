// The signals that end a run, and how.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace flowrun::io {
class RunDirectory;
}

namespace flowrun::app {

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
class Opening {
 public:
  /// `alone`: no other run goes on in this process.
  explicit Opening(bool alone);
  ~Opening() { end(); }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  /// `make` makes the directory, or returns null; the signal handler waits for it. It lives until forget() or end().
  void made(const std::function<const io::RunDirectory*()>& make);
  void forget();
  /// From here on a signal makes the run stop after a step.
  void end();

 private:
  void watch(const std::stop_token& stop);

  std::mutex mutex_;
  const io::RunDirectory* directory_ = nullptr;
  std::jthread thread_;
};

}  // namespace flowrun::app
