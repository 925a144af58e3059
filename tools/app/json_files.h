// Reads JSON that a run wrote, or is writing: unreadable files count as missing.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::app {

/// Values nested deeper than any that a run writes are dropped: copying them would overflow the stack.
inline bool not_too_deep(int depth, nlohmann::ordered_json::parse_event_t, nlohmann::ordered_json&) { return depth < 64; }

/// The object in the file; null when there is none, or it is not a regular file (reading a device would never end).
inline nlohmann::ordered_json read_json(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return nullptr;
  std::ifstream file(path);
  if (!file) return nullptr;
  nlohmann::ordered_json value = nlohmann::ordered_json::parse(file, not_too_deep, /*allow_exceptions=*/false);
  return value.is_object() ? value : nlohmann::ordered_json();
}

/// The string at `key` of an object; `otherwise` if there is none.
inline std::string words_at(const nlohmann::ordered_json& object, const char* key, const std::string& otherwise = "") {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return otherwise;
  return object[key].get<std::string>();
}

/// Hands `take` the objects of a file, one per line. Other lines, such as a torn last one, are skipped.
template <class Take>
void each_line(const std::filesystem::path& path, Take&& take) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const nlohmann::ordered_json entry = nlohmann::ordered_json::parse(line, not_too_deep, /*allow_exceptions=*/false);
    if (entry.is_object()) take(entry);
  }
}

}  // namespace flowrun::app
