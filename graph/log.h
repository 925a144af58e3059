// Where log lines go. Writing one: context.h.
#pragma once

#include <functional>
#include <string>

namespace flowrun {

/// Also into a file (appended), from now on; nowhere else but the terminal when empty. `around` is handed what writes a
/// line and calls it, so that what stands on the terminal is not torn; any thread. Before threads start and after they
/// end.
void log_to(const std::string& path, std::function<void(const std::function<void()>& write)> around);

}  // namespace flowrun
