#include "io/pack/pack_journal.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/error.h"
#include "io/json_text.h"
#include "io/strict_json.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* journal_name = "pack.journal";
constexpr const char* record_name = "pack.json";

std::string hex_of(const std::vector<uint64_t>& hashes) {
  static constexpr const char* digits = "0123456789abcdef";
  std::string out;
  out.reserve(16 * hashes.size());
  for (const uint64_t hash : hashes) {
    for (int shift = 60; shift >= 0; shift -= 4) out += digits[hash >> shift & 15];
  }
  return out;
}

/// False when it is no list of hashes.
bool parse_hex(const std::string& text, std::vector<uint64_t>& out) {
  if (text.size() % 16 != 0) return false;
  for (size_t at = 0; at < text.size(); at += 16) {
    uint64_t hash = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 16, hash, 16);
    if (error != std::errc() || end != text.data() + at + 16) return false;
    out.push_back(hash);
  }
  return true;
}

std::string text_of(const fs::path& path) {
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  return {bytes.begin(), bytes.end()};
}

/// Removes files that were incomplete when their program was killed. Only for the holder of the journal's lock: no other
/// process writes then, on any machine.
void remove_leftovers(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.find(".tmp-") != std::string::npos && entry.is_regular_file()) fs::remove(entry.path());
  }
}

}  // namespace

PackJournal::PackJournal(fs::path folder, nlohmann::ordered_json header)
    : folder_(std::move(folder)), path_(folder_ / journal_name), header_(std::move(header)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_)) throw system_error("make the folder", folder_, error ? error.value() : ENOTDIR);
  remove_dead_temporaries(folder_);  // hidden: `rm FOLDER/*` leaves them
  if (fs::exists(folder_ / record_name)) {
    check_header(parse_strict_json(text_of(folder_ / record_name), (folder_ / record_name).string()), "holds a pack");
    complete_ = true;
    remove_dead_journal();
    return;
  }
  if (!fs::exists(path_) && !fs::is_empty(folder_)) {
    throw Error(folder_.string() + " is not empty and holds no pack that was begun; choose another folder");
  }
  file_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_) throw system_error("create", path_, errno);
  if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) throw Error(folder_.string() + " is being written by another flowrun pack");
  remove_leftovers(folder_);
  read_blocks();
}

/// A program that is killed as it ends leaves the journal beside pack.json. Another that ends just now removes it itself.
void PackJournal::remove_dead_journal() {
  const FileDescriptor journal(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
  if (!journal || flock(journal.get(), LOCK_EX | LOCK_NB) != 0) return;
  remove_leftovers(folder_);
  fs::remove(path_);
}

void PackJournal::check_header(const Json& written, const std::string& what) const {
  if (written == Json(header_)) return;
  // The first that differs, in the order in which options are told.
  for (const auto& [key, value] : header_.items()) {
    const Json before = written.is_object() && written.contains(key) ? written[key] : Json();
    if (before == Json(value)) continue;
    if (key == "samples" || key == "images") throw Error(folder_.string() + " " + what + " of other images; choose another folder");
    throw Error(folder_.string() + " " + what + " with other options: " + key + " was " + json_text(before) + " and is now " + json_text(value) +
                "; choose another folder, or the same options");
  }
  throw Error(folder_.string() + " " + what + " of another version of flowrun; choose another folder");
}

// A line that was cut short by a kill is the last one, and is written again.
void PackJournal::read_blocks() {
  const std::string text = text_of(path_);
  size_t end = 0, line_end = text.find('\n');
  if (line_end == std::string::npos) {
    const std::string line = json_text(header_) + "\n";
    if (ftruncate(file_.get(), 0) != 0) throw system_error("write", path_, errno);
    write_all(file_.get(), std::as_bytes(std::span(line)), path_);
    fsync_directory(folder_);
    return;
  }
  check_header(parse_strict_json(text.substr(0, line_end), path_.string()), "holds an unfinished pack");
  for (end = line_end + 1; (line_end = text.find('\n', end)) != std::string::npos; end = line_end + 1) {
    const Json line = parse_strict_json(text.substr(end, line_end - end), path_.string());
    PackedBlock block;
    const bool whole = line.is_object() && line.contains("name") && line["name"].is_string() && line.contains("bytes") &&
                       line["bytes"].is_number_unsigned() && line.contains("hashes") && line["hashes"].is_string() &&
                       parse_hex(line["hashes"].get<std::string>(), block.hashes) && !block.hashes.empty();
    if (!whole) throw Error(path_.string() + " is damaged: remove " + folder_.string() + " and pack again");
    block.name = line["name"].get<std::string>(), block.bytes = line["bytes"].get<uint64_t>();
    // A shard that was removed or is incomplete: packing repeats from there on.
    std::error_code error;
    if (!block.name.empty() && fs::file_size(folder_ / block.name, error) != block.bytes) break;
    blocks_.push_back(std::move(block));
  }
  if (ftruncate(file_.get(), static_cast<off_t>(end)) != 0) throw system_error("write", path_, errno);
}

uint64_t PackJournal::samples() const {
  uint64_t count = 0;
  for (const PackedBlock& block : blocks_) count += block.hashes.size();
  return count;
}

void PackJournal::add(PackedBlock block) {
  const std::string line = json_text(Json{{"name", block.name}, {"bytes", block.bytes}, {"hashes", hex_of(block.hashes)}}) + "\n";
  write_all(file_.get(), std::as_bytes(std::span(line)), path_);
  if (fsync(file_.get()) != 0) throw system_error("write", path_, errno);
  blocks_.push_back(std::move(block));
}

void PackJournal::finish() {
  write_file_atomic(folder_ / record_name, json_text(header_, 2) + "\n");
  fs::remove(path_);
}

}  // namespace flowrun::io
