// Reads JSON that a run wrote, or is writing: unreadable files count as missing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tools/app/run_file.h"

namespace flowrun::app {

/// The object in the file; null when there is none, or it is not a regular file (reading a device would never end). Values nested deeper than any
/// that a run writes are dropped: copying them would overflow the stack.
nlohmann::ordered_json read_json(const std::filesystem::path& path);

/// The object in a text of a stranger's; null when it is none. Drops what is nested too deep, and the keys of an object behind the first 4096: each
/// is compared with all before it.
nlohmann::ordered_json bounded_json(std::string_view text);

/// The object in a file of a run that may be a stranger's; null when there is none, or it is larger than any that a run writes.
nlohmann::ordered_json read_json(const RunFile& file);

/// What lies at `key` of an object, null if there is nothing.
nlohmann::ordered_json field_at(const nlohmann::ordered_json& object, const std::string& key);

/// The number at `key` of an object, null if there is none.
nlohmann::ordered_json number_at(const nlohmann::ordered_json& object, const std::string& key);

/// The string at `key` of an object; `otherwise` if there is none.
std::string words_at(const nlohmann::ordered_json& object, const char* key, const std::string& otherwise = "");

/// Hands `take` the objects of a file, one per line. Other lines, such as a torn last one, are skipped.
void each_line(const std::filesystem::path& path, const std::function<void(const nlohmann::ordered_json&)>& take);

/// The same for a file of a run that may be a stranger's: lines of more than 64 KiB are skipped, too, and no more than `most` bytes are read.
void each_line(const RunFile& file, const std::function<void(const nlohmann::ordered_json&)>& take, int64_t most = int64_t{1} << 30,
               int64_t from = 0);

}  // namespace flowrun::app
