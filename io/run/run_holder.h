#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "io/file.h"

// The process that writes a run directory: a file names it, locked by that process while it lives. A process number in a file
// proves nothing: processes end, their numbers are reused, and anybody can write one.

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

// A handle on a process, which can't refer to a later one: signals reach this process or none.
class HeldProcess {
 public:
  // The process that FILE names, if the kernel confirms that it holds FILE's lock, and if it started at that time on
  // this host. Throws Error with the reason otherwise.
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
