// Names of nodes and models, which become names of files.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace flowrun {

inline constexpr size_t longest_name = 100;

/// Whether a model may have that name: letters, digits, _ and -.
inline bool is_name(std::string_view name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= longest_name && std::all_of(name.begin(), name.end(), fits);
}

/// Whether a node may have that name: one such word, or several separated by /.
inline bool is_node_name(std::string_view name) {
  if (name.size() > longest_name) return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    if (!is_name(name.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

/// The file name of a node or model without an extension, and the way back.
inline std::string file_stem(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}
inline std::string name_of_stem(std::string stem) {
  std::replace(stem.begin(), stem.end(), '.', '/');
  return stem;
}

}  // namespace flowrun
