#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "io/file.h"

// The process that writes a run directory: a file names it, locked by that process while it lives. A number in a file alone proves
// nothing: processes end, their numbers are given to others, and anybody can write one.

namespace flowrun::io {

// Names this process in FILE while the object lives: pid, host, and when the process started. Throws Error.
class RunHolder {
 public:
  explicit RunHolder(std::filesystem::path file);
  RunHolder(const RunHolder&) = delete;
  RunHolder& operator=(const RunHolder&) = delete;
  ~RunHolder();

 private:
  std::filesystem::path file_;
  FileDescriptor fd_;
};

// A process that can't become another one: signals reach this one or nobody.
class HeldProcess {
 public:
  // The process that FILE names, when the kernel says that it holds FILE's lock, and it is the one that started then, on
  // this host. Throws Error that says why there is none.
  explicit HeldProcess(const std::filesystem::path& file);

  int64_t pid() const { return pid_; }
  // False when it has ended. Throws Error when it belongs to another user.
  bool signal(int signal) const;

 private:
  int64_t pid_ = 0;
  FileDescriptor fd_;
};

// When the process started, in clock ticks since boot, as /proc/PID/stat has it; 0 when there is none.
int64_t start_of_process(int64_t pid);

}  // namespace flowrun::io
