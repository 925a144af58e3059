#include "io/run/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <xxhash.h>

#include "io/error.h"
#include "io/file.h"
#include "io/json_text.h"
#include "io/strict_json.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* manifest_name = "manifest.json";
constexpr const char* format_name = "flowrun checkpoint";
constexpr uint64_t format_version = 1;

class Hash {
 public:
  Hash() { XXH3_64bits_reset(&state_); }
  void add(std::span<const std::byte> bytes) {
    // XXH3 does not take a null pointer, which an empty span may hold.
    if (!bytes.empty()) XXH3_64bits_update(&state_, bytes.data(), bytes.size());
  }
  std::string hex() const {
    char text[17];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(XXH3_64bits_digest(&state_)));
    return text;
  }

 private:
  XXH3_state_t state_;
};

std::string hash_of(std::string_view text) {
  Hash hash;
  hash.add(std::as_bytes(std::span(text)));
  return hash.hex();
}

std::string hash_of_file(const fs::path& path) {
  const FileDescriptor file = open_regular_file(path);
  Hash hash;
  std::vector<std::byte> buffer(size_t{1} << 20);
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error("read", path, errno);
    if (count == 0) return hash.hex();
    hash.add(std::span(buffer).first(static_cast<size_t>(count)));
  }
}

// Names from a manifest are joined to its directory: nothing may lead out of it.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view prefix = "step-";
  if (!name.starts_with(prefix)) return std::nullopt;
  const char* const begin = name.data() + prefix.size();
  const char* const end = name.data() + name.size();
  int64_t step = 0;
  const auto [stop, error] = std::from_chars(begin, end, step);
  const bool canonical = error == std::errc() && stop == end && name == std::string(prefix) + std::to_string(step);
  return canonical && step >= 0 ? std::optional(step) : std::nullopt;
}

bool is_temporary(const std::string& name) { return name.starts_with(".step-") && name.find(".tmp") != name.npos; }

std::vector<fs::directory_entry> list(const fs::path& root) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (auto it = fs::directory_iterator(root, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    entries.push_back(*it);
  }
  if (error && error != std::errc::no_such_file_or_directory) throw system_error("list", root, error.value());
  return entries;
}

struct Found {
  int64_t step;
  fs::path directory;
};

// Newest first.
std::vector<Found> checkpoints_in(const fs::path& root) {
  std::vector<Found> found;
  for (const fs::directory_entry& entry : list(root)) {
    std::error_code ignored;
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.is_directory(ignored)) found.push_back({*step, entry.path()});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.step > b.step; });
  return found;
}

void remove_tree(const fs::path& directory) {
  std::error_code error;
  fs::remove_all(directory, error);
  if (error) throw system_error("remove", directory, error.value());
}

// A removal that is killed half-way must not leave a folder called step-N.
void remove_checkpoint(const fs::path& root, const Found& checkpoint) {
  const fs::path hidden = root / (".step-" + std::to_string(checkpoint.step) + ".tmp-old");
  remove_tree(hidden);
  if (::rename(checkpoint.directory.c_str(), hidden.c_str()) != 0) {
    throw system_error("remove", checkpoint.directory, errno);
  }
  remove_tree(hidden);
}

Manifest read_manifest(const fs::path& directory) {
  const fs::path path = directory / manifest_name;
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  return parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

void check_sizes(const fs::path& directory, const Manifest& manifest) {
  for (const CheckpointFile& file : manifest.files) {
    std::error_code error;
    const auto bytes = fs::file_size(directory / file.name, error);
    if (error) throw system_error("examine", directory / file.name, error.value());
    if (bytes != file.bytes) {
      throw Error((directory / file.name).string() + " has " + std::to_string(bytes) + " bytes, but its manifest says " + std::to_string(file.bytes));
    }
  }
}

template <class T>
T value_of(const Json& object, const char* key, bool (Json::*is_right)() const noexcept, const std::string& where) {
  const auto place = object.find(key);
  if (place == object.end()) throw Error(where + " lacks \"" + key + "\"");
  if (!((*place).*is_right)()) throw Error(where + ": \"" + key + "\" has the wrong type");
  return place->get<T>();
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path root, int64_t step) : root_(std::move(root)), step_(step) {
  if (step < 0) throw Error("a checkpoint cannot have the negative step " + std::to_string(step));
  std::error_code error;
  // A run directory that was removed is not made again: its other contents are gone.
  if (fs::create_directory(root_, error)) fsync_directory(root_.has_parent_path() ? root_.parent_path() : ".");
  if (error) throw system_error("create directory", root_, error.value());
  for (const fs::directory_entry& entry : list(root_)) {
    if (is_temporary(entry.path().filename().string())) remove_tree(entry.path());
  }
  const fs::path temporary = root_ / (".step-" + std::to_string(step) + ".tmp");
  if (::mkdir(temporary.c_str(), 0777) != 0) throw system_error("create directory", temporary, errno);
  temporary_ = temporary;
}

CheckpointWriter::~CheckpointWriter() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void CheckpointWriter::add_file(const std::string& name, const std::function<void(const ByteSink&)>& produce) {
  if (temporary_.empty()) throw Error("the checkpoint of step " + std::to_string(step_) + " is already committed");
  if (!is_plain_name(name)) throw Error("a file of a checkpoint cannot be called \"" + name + "\"");
  const fs::path path = temporary_ / name;
  FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) throw system_error("create", path, errno);
  CheckpointFile entry{name, 0, {}};
  Hash hash;
  produce([&](std::span<const std::byte> bytes) {
    write_all(file.get(), bytes, path);
    hash.add(bytes);
    entry.bytes += bytes.size();
  });
  if (fsync(file.get()) != 0) throw system_error("write", path, errno);
  if (file.close() != 0) throw system_error("write", path, errno);
  entry.xxh3_64 = hash.hex();
  files_.push_back(std::move(entry));
}

void CheckpointWriter::add_tensors(const std::string& name, std::span<const TensorEntry> entries, const TensorMetadata& metadata) {
  const std::string where = (root_ / ("step-" + std::to_string(step_)) / name).string();
  add_file(name, [&](const ByteSink& sink) { stream_safetensors(where, entries, metadata, sink); });
}

void CheckpointWriter::add_json(const std::string& name, const Json& value) {
  const std::string text = json_text(value, 2) + "\n";
  add_file(name, [&](const ByteSink& sink) { sink(std::as_bytes(std::span(text))); });
}

void CheckpointWriter::write_manifest(const Json& extra) {
  Json files = Json::object();
  for (const CheckpointFile& file : files_) files[file.name] = {{"bytes", file.bytes}, {"xxh3_64", file.xxh3_64}};
  Json manifest = {{"format", format_name}, {"version", format_version}, {"step", step_}};
  manifest["files"] = std::move(files);
  manifest["extra"] = extra;
  // Parsed back before hashing, so that the hash covers what a reader gets after replacement characters and float
  // printing.
  manifest = Json::parse(json_text(manifest));
  manifest["xxh3_64"] = hash_of(json_text(manifest));
  add_json(manifest_name, manifest);
}

fs::path CheckpointWriter::commit(const Json& extra) {
  write_manifest(extra);
  fsync_directory(temporary_);
  fs::path final_path = root_ / ("step-" + std::to_string(step_));
  std::error_code ignored;
  if (fs::exists(final_path, ignored)) {
    // Exchanged in one move; if the file system cannot do that, the older one is renamed first.
    if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, final_path.c_str(), RENAME_EXCHANGE) != 0) {
      remove_checkpoint(root_, {step_, final_path});
      if (::rename(temporary_.c_str(), final_path.c_str()) != 0) throw system_error("create", final_path, errno);
    } else {
      fs::remove_all(temporary_, ignored);
    }
  } else if (::rename(temporary_.c_str(), final_path.c_str()) != 0) {
    throw system_error("create", final_path, errno);
  }
  temporary_.clear();
  fsync_directory(root_);
  return final_path;
}

namespace {

bool looks_complete(const Found& checkpoint) {
  try {
    check_sizes(checkpoint.directory, read_manifest(checkpoint.directory));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<Manifest> newest_manifest(const fs::path& root) {
  for (const Found& checkpoint : checkpoints_in(root)) {
    if (looks_complete(checkpoint)) return read_manifest(checkpoint.directory);
  }
  return std::nullopt;
}

bool has_checkpoint(const fs::path& root) {
  try {
    return newest_manifest(root).has_value();
  } catch (const Error&) {
    return false;
  }
}

void keep_newest_checkpoints(const fs::path& root, size_t count, const fs::path& just_written) {
  size_t complete = 0;
  for (const Found& checkpoint : checkpoints_in(root)) {
    if (!looks_complete(checkpoint)) continue;
    if (++complete > count && checkpoint.directory.filename() != just_written.filename()) {
      remove_checkpoint(root, checkpoint);
    }
  }
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
  Json json = parse_strict_json(text, where);
  if (!json.is_object() || json.value("format", Json()) != format_name) throw Error(where + ": not a checkpoint manifest");
  const auto version = value_of<uint64_t>(json, "version", &Json::is_number_unsigned, where);
  if (version != format_version) {
    throw Error(where + " has format version " + std::to_string(version) + "; this program reads version " + std::to_string(format_version));
  }
  const auto hash = value_of<std::string>(json, "xxh3_64", &Json::is_string, where);
  json.erase("xxh3_64");
  if (hash != hash_of(json_text(json))) throw Error(where + " was changed after it was written: its hash differs");

  Manifest manifest;
  const auto step = value_of<uint64_t>(json, "step", &Json::is_number_unsigned, where);
  if (step > INT64_MAX) throw Error(where + ": impossible step");
  manifest.step = static_cast<int64_t>(step);
  const auto files = value_of<Json>(json, "files", &Json::is_object, where);
  for (const auto& [name, file] : files.items()) {
    const std::string about = where + ": file \"" + name + "\"";
    if (!is_plain_name(name) || !file.is_object()) throw Error(about + " has an invalid entry in the manifest");
    manifest.files.push_back(
        {name, value_of<uint64_t>(file, "bytes", &Json::is_number_unsigned, about), value_of<std::string>(file, "xxh3_64", &Json::is_string, about)});
  }
  manifest.extra = json.value("extra", Json::object());
  return manifest;
}

Manifest open_checkpoint(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) throw Error("no checkpoint at " + directory.string());
  Manifest manifest = read_manifest(directory);
  check_sizes(directory, manifest);
  for (const CheckpointFile& file : manifest.files) {
    if (hash_of_file(directory / file.name) != file.xxh3_64) {
      throw Error((directory / file.name).string() + " was changed or damaged: its hash is not the manifest's");
    }
  }
  return manifest;
}

std::optional<fs::path> newest_complete_checkpoint(const fs::path& root, std::vector<std::string>* skipped) {
  for (const Found& checkpoint : checkpoints_in(root)) {
    std::string reason;
    try {
      const Manifest manifest = open_checkpoint(checkpoint.directory);
      if (manifest.step == checkpoint.step) return checkpoint.directory;
      reason = "its manifest says step " + std::to_string(manifest.step);
    } catch (const Error& error) {
      reason = error.what();
    }
    if (skipped != nullptr) skipped->push_back("skipped " + checkpoint.directory.string() + ": " + reason);
  }
  return std::nullopt;
}

}  // namespace flowrun::io
