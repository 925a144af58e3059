// Text in printf's way, for tables and lines of fixed widths.
#pragma once

#include <string>

namespace flowrun::app {

/// As printf does, of any length. The compiler compares the arguments with the format.
[[gnu::format(printf, 1, 2)]] std::string print(const char* format, ...);

}  // namespace flowrun::app
