// The destination of log lines. The functions that write lines are in context.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace flowrun {

/// A destination of lines. `path`: lines are also appended to that file; empty: none. `name`: lines on the terminal begin with it,
/// unless it is empty. `around` receives a line and the function that writes it to the terminal: it calls that between drawn progress, or
/// shows the line elsewhere; any thread.
struct LogTarget {
  using Around = std::function<void(const std::string& line, const std::function<void()>& write)>;
  LogTarget(const std::string& path, std::string name, Around around);
  std::shared_ptr<spdlog::logger> file;
  std::string name;
  Around around;
  bool terminal = true;
  bool only_warnings = false;  // on the terminal, which others share
};
using Log = std::shared_ptr<const LogTarget>;

/// Sets the log from now on; null: only the terminal. Call before threads start and after they end.
void log_to(Log log);
/// This thread's log, used in place of the process's unless it is null: several runs in one process have a log each.
/// The threads of an engine inherit the log of the thread that makes the engine.
Log& thread_log();

/// While it lives, lines of this thread are dropped: opening a pipeline for inspection must not log.
class Silence {
 public:
  Silence();
  ~Silence();
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  Log before_;
};

}  // namespace flowrun
