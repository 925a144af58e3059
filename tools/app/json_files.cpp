#include "tools/app/json_files.h"

#include <array>
#include <fstream>
#include <system_error>

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
using Event = ordered_json::parse_event_t;

bool not_too_deep(int depth, Event, ordered_json&) { return depth < 64; }

class Bounded {
 public:
  bool operator()(int depth, Event event, ordered_json& value) {
    if (!not_too_deep(depth, event, value)) return false;
    if (event == Event::object_start) keys_.at(static_cast<size_t>(depth) + 1) = 0;
    return event != Event::key || ++keys_.at(static_cast<size_t>(depth)) <= 4096;
  }

 private:
  std::array<int, 66> keys_{};  // of the object that is open at a depth
};

ordered_json object_or_null(ordered_json value) { return value.is_object() ? std::move(value) : ordered_json(); }

bool is_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

ordered_json read_json(const std::filesystem::path& path) {
  if (!is_file(path)) return nullptr;
  std::ifstream file(path);
  if (!file) return nullptr;
  return object_or_null(ordered_json::parse(file, not_too_deep, /*allow_exceptions=*/false));
}

ordered_json bounded_json(std::string_view text) { return object_or_null(ordered_json::parse(text, Bounded(), /*allow_exceptions=*/false)); }

ordered_json read_json(const RunFile& file) {
  const auto text = file.text(8 << 20);
  return text ? bounded_json(*text) : ordered_json();
}

ordered_json field_at(const ordered_json& object, const std::string& key) {
  return object.is_object() && object.contains(key) ? object[key] : ordered_json();
}

ordered_json number_at(const ordered_json& object, const std::string& key) {
  ordered_json value = field_at(object, key);
  return value.is_number() ? value : ordered_json();
}

std::string words_at(const ordered_json& object, const char* key, const std::string& otherwise) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return otherwise;
  return object[key].get<std::string>();
}

void each_line(const std::filesystem::path& path, const std::function<void(const ordered_json&)>& take) {
  if (!is_file(path)) return;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const ordered_json entry = ordered_json::parse(line, not_too_deep, /*allow_exceptions=*/false);
    if (entry.is_object()) take(entry);
  }
}

void each_line(const RunFile& file, const std::function<void(const ordered_json&)>& take, int64_t most, int64_t from) {
  const auto parsed = [&](std::string_view line) {
    const ordered_json entry = bounded_json(line);
    if (entry.is_object()) take(entry);
  };
  file.each_line(parsed, 64 << 10, most, from);
}

}  // namespace flowrun::app
