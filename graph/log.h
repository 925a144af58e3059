// Where log lines go. Writing one: context.h.
#pragma once

#include <functional>
#include <string>

namespace flowrun {

/// Also into a file (appended), from now on; nowhere else but the terminal when empty. `before` is called ahead of each
/// line, to clear what stands on the terminal. Before threads start and after they end.
void log_to(const std::string& path, std::function<void()> before);

/// For one of several processes that share a terminal: its lines begin with `name`, and only warnings appear.
void log_warnings_as(const std::string& name);

}  // namespace flowrun
