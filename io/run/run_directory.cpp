#include "io/run/run_directory.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "io/error.h"
#include "io/json_text.h"
#include "io/run/checkpoint.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// As mkdir -p; the folders that were not there go to MADE. "new/../old" makes "new", too.
void make_directories(const fs::path& directory, std::vector<fs::path>& made) {
  fs::path place;
  for (const fs::path& part : directory) {
    place /= part;
    if (place.empty() || part.empty()) continue;
    if (::mkdir(place.c_str(), 0777) == 0) {
      made.push_back(place);
      continue;
    }
    const int code = errno;
    std::error_code ignored;
    if (!fs::is_directory(place, ignored)) throw system_error("create directory", directory, code == EEXIST ? ENOTDIR : code);
  }
}

bool is_same(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

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
      best(run / "best"),

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

bool is_run_file(const fs::path& relative) {
  static const std::regex names(
      R"(pipeline\.resolved\.json|(metrics|evaluations|quarantine)\.jsonl|log\.txt|(data|stats|status|process|result)\.json|status\.txt|result\.md)"
      R"(|report\.html|events\.out\.tfevents\.\d+\.flowrun|(collapse|failed)-step-\d+\.json|(features/)?\.[^/]+\.tmp-\d+-\d+(-[0-9a-f]+)?)"
      R"(|features(/([^/]+-)?step-\d+\.safetensors)?)"
      R"(|checkpoints|collapse|best|(checkpoints|collapse|best)/(step-\d+|\.step-\d+\.tmp(-old)?)(/([^/]+\.safetensors|manifest\.json))?)");
  return std::regex_match(relative.generic_string(), names);
}

FileDescriptor lock_directory(const fs::path& directory) {
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw system_error("open directory", directory, errno);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw Error("another process is writing " + directory.string() + ": stop it or choose another --out");
  }
  return fd;
}

RunDirectory::RunDirectory(const fs::path& out, bool resume) : paths_(out) {
  std::error_code ignored;
  if (fs::exists(out, ignored) && !fs::is_directory(out, ignored)) {
    throw Error(out.string() + " is a file, not a directory: choose another --out");
  }
  if (resume && !holds_run(out)) {
    throw Error("there is no run to resume in " + out.string() + ": check --out, or leave --resume away to start one");
  }
  try {
    hold(resume);
  } catch (...) {
    undo();
    throw;
  }
}

void RunDirectory::hold(bool resume) {
  const fs::path& out = paths_.root;
  // A process that gave up opening a run here may have removed the folder before it was locked.
  for (int attempt = 0; attempt == 0 || (attempt < 8 && !in_place()); ++attempt) {
    make_directories(out, made_);
    lock_ = lock_directory(out);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(out)) before_.insert(entry.path().filename().string());
  listed_ = true;
  // Checked only under the lock: of two processes that start at once, one must lose.
  if (!resume && holds_run(out)) {
    const bool saved = has_checkpoint(paths_.checkpoints);
    throw Error(out.string() + " holds a run already" +
                (saved ? ": continue it with --resume or choose another --out"
                       : ", which has no complete checkpoint: choose another --out, or begin it again with --resume"));
  }
  make_directories(paths_.checkpoints, made_);
  remove_dead_temporaries(out);
}

bool RunDirectory::in_place() const {
  struct stat held {
  }, named{};
  return fstat(lock_.get(), &held) == 0 && stat(paths_.root.c_str(), &named) == 0 && is_same(held, named);
}

/// The run's files that were not there before; none where the earlier contents are unknown.
std::vector<fs::path> RunDirectory::own_files() const {
  std::vector<fs::path> out;
  if (!listed_ || !in_place()) return out;
  std::error_code ignored;
  for (auto it = fs::directory_iterator(paths_.root, ignored); !ignored && it != fs::directory_iterator(); it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (!before_.contains(name) && is_run_file(name)) out.push_back(it->path());
  }
  return out;
}

void RunDirectory::undo() const noexcept {
  try {
    // Another thread may make a file meanwhile: then once more.
    constexpr int attempts = 100;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      for (const fs::path& file : own_files()) (void)::unlink(file.c_str());
      // rmdir: what is not empty stays.
      for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) (void)::rmdir(folder->c_str());
      if (own_files().empty()) return;
    }
  } catch (const std::exception&) {
    // Without memory for a name the file stays.
  }
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
  const std::string line = json_text(object) + "\n";
  const std::lock_guard lock(mutex_);
  try {
    write_all(file_.get(), std::as_bytes(std::span(line)), path_);
  } catch (const Error&) {
    // Best effort: opening the file again drops a torn line too.
    if (::ftruncate(file_.get(), size_) != 0) throw;
    throw;
  }
  size_ += static_cast<int64_t>(line.size());
  struct stat status {};
  if (fstat(file_.get(), &status) == 0 && status.st_nlink == 0) {
    throw Error(path_.string() + " was removed while it was written: what follows would be lost");
  }
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
