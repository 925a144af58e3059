// The program as the caller of runs: lines and progress on standard error, signals that stop.
#pragma once

#include <string>

#include "tools/app/run/caller.h"

namespace flowrun::cli {

/// There is one, which is never destroyed before the program ends.
app::Caller& program();

/// Prints a line on standard error.
void say(const std::string& line);

}  // namespace flowrun::cli
