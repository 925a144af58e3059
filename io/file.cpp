#include "io/file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <regex>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include "io/error.h"

namespace flowrun::io {

namespace {

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// FNV-1a, so that a name of any length and letters fits into a file's.
std::string host_mark() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  uint32_t hash = 2166136261U;
  for (const char* c = host; *c != '\0'; ++c) hash = (hash ^ static_cast<uint8_t>(*c)) * 16777619U;
  char text[9];
  std::snprintf(text, sizeof text, "%08x", hash);
  return text;
}

// Unique over machines, processes and calls; hidden, so that listings skip leftovers.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  static std::atomic<uint64_t> calls = 0;
  static const std::string host = host_mark();
  std::string name(1, '.');
  name += path.filename().string();
  name += ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(calls.fetch_add(1, std::memory_order_relaxed)) + "-" + host;
  return directory_of(path) / name;
}

}  // namespace

int FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd < 0 ? 0 : ::close(fd);
}

namespace {

// Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
constexpr int open_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

// The size of the opened file, which must be a regular file. PATH is called only for the message.
template <class Path>
size_t size_of_regular_file(const FileDescriptor& file, const Path& path) {
  int code = errno;  // before path() can change it, here and below
  if (!file) throw system_error("open", path(), code);
  struct stat status {};
  const bool examined = fstat(file.get(), &status) == 0;
  code = errno;
  if (!examined) throw system_error("examine", path(), code);
  if (S_ISDIR(status.st_mode)) throw Error("cannot read " + path().string() + ": it is a directory, not a file");
  if (!S_ISREG(status.st_mode)) throw Error("cannot read " + path().string() + ": it is not a regular file");
  return static_cast<size_t>(status.st_size);
}

template <class Path>
void read_all(const FileDescriptor& file, std::vector<uint8_t>& out, const Path& path) {
  // Checked before memory is allocated: there may be a film among pictures, or a sparse file of a terabyte.
  constexpr size_t most = size_t{4} << 30;
  const size_t size = size_of_regular_file(file, path);
  if (size > most) throw Error("cannot read " + path().string() + ": it has " + std::to_string(size >> 20) + " MiB; files up to 4096 MiB are read");
  out.resize(size);
  size_t filled = 0;
  while (true) {
    // The size is only a hint: a file may grow meanwhile, and those of /proc say 0.
    if (filled == out.size()) {
      uint8_t probe[4096];
      const ssize_t count = ::read(file.get(), probe, sizeof probe);
      const int code = errno;
      if (count == 0) break;
      if (count > 0) out.insert(out.end(), probe, probe + count), filled += static_cast<size_t>(count);
      if (count < 0 && code != EINTR) throw system_error("read", path(), code);
      continue;
    }
    const ssize_t count = ::read(file.get(), out.data() + filled, out.size() - filled);
    const int code = errno;
    if (count == 0) break;
    if (count > 0) filled += static_cast<size_t>(count);
    if (count < 0 && code != EINTR) throw system_error("read", path(), code);
  }
  out.resize(filled);
}

}  // namespace

FileDescriptor open_regular_file(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), open_flags));
  size_of_regular_file(file, [&] { return path; });
  return file;
}

void read_file(const std::filesystem::path& path, std::vector<uint8_t>& out) {
  read_all(FileDescriptor(::open(path.c_str(), open_flags)), out, [&] { return path; });
}

Folder::Folder(const std::filesystem::path& path) : path_(path), folder_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (!folder_) throw system_error("open", path, errno);
}

void Folder::read(const std::string& name, std::vector<uint8_t>& out) const {
  read_all(FileDescriptor(::openat(folder_.get(), name.c_str(), open_flags)), out, [&] { return path_ / name; });
}

void Folder::prefetch(const std::string& name) const {
  const FileDescriptor file(::openat(folder_.get(), name.c_str(), open_flags));
  if (file) (void)posix_fadvise(file.get(), 0, 0, POSIX_FADV_WILLNEED);
}

void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  constexpr size_t most_per_call = size_t{1} << 30;  // Linux writes at most 2 GiB at a time
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), std::min(bytes.size(), most_per_call));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error("write", path, errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

void fsync_directory(const std::filesystem::path& directory) {
  const FileDescriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file) throw system_error("open directory", directory, errno);
  // Some network file systems cannot sync a directory and say EINVAL: their renames are synchronous anyway.
  if (fsync(file.get()) != 0 && errno != EINVAL) throw system_error("sync directory", directory, errno);
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)), temporary_(temporary_name(path_)) {
  file_ = FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file_) {
    const int code = errno;
    temporary_.clear();
    throw system_error("create", path_, code);
  }
}

AtomicFile::~AtomicFile() {
  file_.close();
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) { write_all(file_.get(), bytes, path_); }

void AtomicFile::commit() {
  if (fsync(file_.get()) != 0) throw system_error("write", path_, errno);
  if (file_.close() != 0) throw system_error("write", path_, errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error("rename the finished", path_, errno);
  temporary_.clear();
  fsync_directory(directory_of(path_));
}

void write_file_atomic(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

size_t remove_dead_temporaries(const std::filesystem::path& directory) {
  static const std::regex name_of_one(R"(\..+\.tmp-(\d{1,9})-\d+(-[0-9a-f]{8})?)");
  const std::string here = "-" + host_mark();
  size_t removed = 0;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(directory, error); !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::smatch parts;
    std::error_code ignored;
    if (!std::regex_match(name, parts, name_of_one) || !it->is_regular_file(ignored) || it->is_symlink(ignored)) continue;
    if (parts[2].matched && parts[2].str() != here) continue;
    const bool dead = ::kill(std::stoi(parts[1].str()), 0) != 0 && errno == ESRCH;
    if (dead && ::unlink(it->path().c_str()) == 0) ++removed;
  }
  return removed;
}

void write_file_atomic(const std::filesystem::path& path, std::string_view text) { write_file_atomic(path, std::as_bytes(std::span(text))); }

}  // namespace flowrun::io
