// Where log lines go. Writing one: context.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace spdlog {
class logger;
}

namespace flowrun {

/// Where lines go. `path`: also into that file, appended; empty: none. `name`: lines on the terminal begin with it, unless
/// it is empty. `around` is handed what writes a line to the terminal and calls it, so that what stands there is not torn; any thread.
struct LogTarget {
  using Around = std::function<void(const std::function<void()>& write)>;
  LogTarget(const std::string& path, std::string name, Around around);
  std::shared_ptr<spdlog::logger> file;
  std::string name;
  Around around;
  bool terminal = true;
  bool only_warnings = false;  // on the terminal, which others share
};
using Log = std::shared_ptr<const LogTarget>;

/// From now on; the terminal alone when null. Before threads start and after they end.
void log_to(Log log);
/// What stands for it on this thread, unless it is null: several runs in one process have a log each. The threads of an
/// engine take over that of the thread that makes it.
Log& thread_log();

/// While it lives, lines of this thread go nowhere: what is opened only to be looked at says nothing.
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
