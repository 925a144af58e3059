// Text in printf's way, for tables and lines of fixed widths.
#pragma once

#include <cstdio>
#include <string>

namespace flowrun::tool {

/// As printf does; at most 511 characters.
template <class... Args>
std::string print(const char* format, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

}  // namespace flowrun::tool
