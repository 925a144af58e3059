#include "io/run_directory.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "io/error.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

void make_directories(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw system_error("create directory", directory, error.value());
}

// The lock goes with the process, even when that is killed. Where the file system has no locks, nothing is locked.
FileDescriptor lock_directory(const fs::path& directory) {
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw system_error("open directory", directory, errno);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw Error("another process is writing " + directory.string() + ": stop it or choose another --out");
  }
  return fd;
}

bool survives(std::string_view line, int64_t step) {
  const Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto place = object.find("step");
  return place == object.end() || !place->is_number() || place->get<double>() <= static_cast<double>(step);
}

}  // namespace

RunPaths::RunPaths(const fs::path& run)
    : root(run),
      pipeline(run / "pipeline.resolved.json"),
      metrics(run / "metrics.jsonl"),
      stats(run / "stats.json"),
      result(run / "result.json"),
      checkpoints(run / "checkpoints"),
      quarantine(run / "quarantine.jsonl"),
      log(run / "log.txt") {}

bool holds_run(const fs::path& directory) {
  const RunPaths paths(directory);
  const std::array marks = {&paths.pipeline, &paths.metrics, &paths.stats, &paths.result, &paths.checkpoints};
  for (const fs::path* mark : marks) {
    std::error_code ignored;
    if (fs::exists(*mark, ignored) && !fs::is_empty(*mark, ignored)) return true;
  }
  return false;
}

bool is_locked(const fs::path& directory) {
  const FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

RunDirectory::RunDirectory(const fs::path& out, bool resume) : paths_(out) {
  std::error_code ignored;
  if (fs::exists(out, ignored) && !fs::is_directory(out, ignored)) {
    throw Error(out.string() + " is a file, not a directory: choose another --out");
  }
  if (resume && !holds_run(out)) {
    throw Error("there is no run to resume in " + out.string() + ": check --out, or leave --resume away to start one");
  }
  make_directories(out);
  lock_ = lock_directory(out);
  // Asked only under the lock: of two that start at once, one must lose.
  if (!resume && holds_run(out)) {
    throw Error(out.string() + " holds a run already: continue it with --resume or choose another --out");
  }
  make_directories(paths_.checkpoints);
}

JsonLines::JsonLines(fs::path path) : path_(std::move(path)) {
  file_ = FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_) throw system_error("open", path_, errno);
  size_ = ::lseek(file_.get(), 0, SEEK_END);
  if (size_ < 0) throw system_error("examine", path_, errno);
  const int64_t found = size_;
  char last = 0;
  while (size_ > 0 && ::pread(file_.get(), &last, 1, size_ - 1) == 1 && last != '\n') --size_;
  if (size_ != found && ::ftruncate(file_.get(), size_) != 0) throw system_error("write", path_, errno);
}

void JsonLines::append(const nlohmann::ordered_json& object) {
  const std::string line = object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  const std::lock_guard lock(mutex_);
  try {
    write_all(file_.get(), std::as_bytes(std::span(line)), path_);
  } catch (const Error&) {
    // Best effort: opening the file again drops a torn line too.
    if (::ftruncate(file_.get(), size_) != 0) throw;
    throw;
  }
  size_ += static_cast<int64_t>(line.size());
}

size_t truncate_json_lines(const fs::path& path, int64_t step) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return 0;
  std::vector<uint8_t> bytes;
  read_file(path, bytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string kept;
  size_t dropped = 0;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    // A line without its newline may be a number cut short: it counts as torn even when it parses.
    if (end != std::string_view::npos && survives(line, step)) {
      kept += line;
      kept += '\n';
    } else {
      ++dropped;
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (dropped > 0) write_file_atomic(path, kept);
  return dropped;
}

}  // namespace flowrun::io
