// Reads JSON that a run wrote, or is writing: unreadable files count as missing.
#pragma once

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/app/run_file.h"

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

/// Drops what is nested too deep, and the keys of an object behind the first 4096: each is compared with all before it.
class Bounded {
 public:
  bool operator()(int depth, nlohmann::ordered_json::parse_event_t event, nlohmann::ordered_json& value) {
    using Event = nlohmann::ordered_json::parse_event_t;
    if (!not_too_deep(depth, event, value)) return false;
    if (event == Event::object_start) keys_.at(static_cast<size_t>(depth) + 1) = 0;
    return event != Event::key || ++keys_.at(static_cast<size_t>(depth)) <= 4096;
  }

 private:
  std::array<int, 66> keys_{};  // of the object that is open at a depth
};

/// The object in a text of a stranger's; null when it is none.
inline nlohmann::ordered_json bounded_json(std::string_view text) {
  nlohmann::ordered_json value = nlohmann::ordered_json::parse(text, Bounded(), /*allow_exceptions=*/false);
  return value.is_object() ? value : nlohmann::ordered_json();
}

/// The object in a file of a run that may be a stranger's; null when there is none, or it is larger than any that a run writes.
inline nlohmann::ordered_json read_json(const RunFile& file) {
  const auto text = file.text(8 << 20);
  return text ? bounded_json(*text) : nlohmann::ordered_json();
}

/// What lies at `key` of an object, null if there is nothing.
inline nlohmann::ordered_json field_at(const nlohmann::ordered_json& object, const std::string& key) {
  return object.is_object() && object.contains(key) ? object[key] : nlohmann::ordered_json();
}

/// The number at `key` of an object, null if there is none.
inline nlohmann::ordered_json number_at(const nlohmann::ordered_json& object, const std::string& key) {
  nlohmann::ordered_json value = field_at(object, key);
  return value.is_number() ? value : nlohmann::ordered_json();
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

/// The same for a file of a run that may be a stranger's: lines of more than 64 KiB are skipped, too, and no more than `most` bytes are read.
template <class Take>
void each_line(const RunFile& file, Take&& take, int64_t most = int64_t{1} << 30, int64_t from = 0) {
  const auto parsed = [&](std::string_view line) {
    const nlohmann::ordered_json entry = bounded_json(line);
    if (entry.is_object()) take(entry);
  };
  file.each_line(parsed, 64 << 10, most, from);
}

}  // namespace flowrun::app
