// Text in printf's way, for tables and lines of fixed widths.
#pragma once

#include <cstdio>
#include <string>

namespace flowrun::app {

/// As printf does, of any length.
template <class... Args>
std::string print(const char* format, Args... args) {
  const int length = std::snprintf(nullptr, 0, format, args...);
  if (length <= 0) return "";
  std::string text(static_cast<size_t>(length) + 1, '\0');
  std::snprintf(text.data(), text.size(), format, args...);
  text.pop_back();
  return text;
}

}  // namespace flowrun::app
