// Files of a run that may be a stranger's: read only where they are what they seem, in bounded memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "io/file.h"

namespace flowrun::app {

/// Whether the path leads to something in the folder, links followed.
bool is_below(const std::filesystem::path& path, const std::filesystem::path& folder);

/// Opened once, and checked when it is open: what is read is what was checked.
class RunFile {
 public:
  /// None where `path` is missing, unreadable, anything but a regular file, or a link that leaves the folder `run`. Never waits.
  RunFile(const std::filesystem::path& path, const std::filesystem::path& run);

  explicit operator bool() const { return static_cast<bool>(file_); }
  int64_t size() const { return size_; }
  /// All of it. Empty: there is no such file, it can't be read, or is larger than `most` bytes.
  std::optional<std::string> text(int64_t most) const;
  /// Hands over its lines, without their ends, from the byte `from` on. Lines longer than `longest` bytes are skipped; what lies
  /// `most` bytes behind `from` is not read.
  void each_line(const std::function<void(std::string_view)>& take, int64_t longest, int64_t most, int64_t from = 0) const;

 private:
  io::FileDescriptor file_;
  int64_t size_ = 0;
};

}  // namespace flowrun::app
