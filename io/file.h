#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flowrun::io {

// Owns a POSIX file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // Returns what close(2) returned, 0 when there was nothing to close.
  int close();

 private:
  int fd_ = -1;
};

// Opens for reading. Throws Error when PATH is missing, unreadable or anything but a regular file.
FileDescriptor open_regular_file(const std::filesystem::path& path);

// Reads the whole file into OUT, whose capacity is kept from call to call. Throws Error as above.
void read_file(const std::filesystem::path& path, std::vector<uint8_t>& out);

// An open folder, for files that are named relative to it: no path is built per file, or walked from the root. Any
// thread.
class Folder {
 public:
  Folder() = default;
  explicit Folder(const std::filesystem::path& path);
  // As read_file.
  void read(const std::string& name, std::vector<uint8_t>& out) const;
  // Asks the kernel to read ahead a file that is needed soon, and does not wait. The later read reports errors.
  void prefetch(const std::string& name) const;

 private:
  std::filesystem::path path_;
  FileDescriptor folder_;
};

// Writes all of BYTES, in as many calls of write(2) as needed. Throws Error naming PATH.
void write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path);

// Makes renames and new names inside DIRECTORY durable.
void fsync_directory(const std::filesystem::path& directory);

// A file that appears under its name complete and durable, or not at all: written under a hidden temporary name in the
// same directory, fsynced and renamed by commit(). Without commit() the temporary is removed and an older file of that
// name stays as it was. Several threads may write the same path: the last commit wins.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  FileDescriptor file_;
};

void write_file_atomic(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomic(const std::filesystem::path& path, std::string_view text);

// Removes the temporary files in DIRECTORY, not in its folders, that processes of this host left when they were killed.
// Files of living processes and of other hosts, and files that can't be removed, stay. Returns the number of removed
// files.
size_t remove_dead_temporaries(const std::filesystem::path& directory);

}  // namespace flowrun::io
