#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "io/file.h"

namespace flowrun::io {

// The names inside a run directory. Users' scripts depend on them.
struct RunPaths {
  explicit RunPaths(const std::filesystem::path& run);

  std::filesystem::path root;
  std::filesystem::path pipeline;     // pipeline.resolved.json
  std::filesystem::path metrics;      // metrics.jsonl, one object per reported step
  std::filesystem::path stats;        // stats.json, per node
  std::filesystem::path result;       // result.json, written last
  std::filesystem::path checkpoints;  // checkpoints/step-N/
  std::filesystem::path best;         // best/step-N/, the checkpoint that an evaluation found best
  std::filesystem::path quarantine;   // quarantine.jsonl, samples that failed
  std::filesystem::path log;          // log.txt
};

// Whether the directory has any non-empty file of a run: a run that was interrupted while it opened doesn't count.
bool holds_run(const std::filesystem::path& directory);

// Whether a process is writing into it. False if the file system has no locks.
bool is_locked(const std::filesystem::path& directory);

// Whether a run writes a file or folder of that name, RELATIVE to its directory. Pictures, whose names a pipeline
// chooses, are not among them.
bool is_run_file(const std::filesystem::path& relative);

// The exclusive lock on an existing directory, held while the object lives; it ends with the process, even when that is
// killed. If the file system has no locks, nothing is locked. Throws Error when another process has it.
FileDescriptor lock_directory(const std::filesystem::path& directory);

// The directory that one run writes into, locked for this process while the object lives.
class RunDirectory {
 public:
  // Without RESUME creates OUT (parents too) and refuses one that holds a run already; with RESUME refuses one that
  // holds none, and removes half-written files of killed processes. Both refuse one that another process is writing.
  // Throws Error naming the fix; then everything this call made is removed.
  RunDirectory(const std::filesystem::path& out, bool resume);
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;
  ~RunDirectory() = default;

  const RunPaths& paths() const { return paths_; }

  // Whether the directory still exists under its name, and was not replaced by another.
  bool in_place() const;

  // For a run that could not be opened: removes the run's files that were not there before, and the folders that this
  // object made, parents too, if they are empty. Everything else stays. Any thread.
  void undo() const noexcept;

 private:
  void hold(bool resume);
  std::vector<std::filesystem::path> own_files() const;

  RunPaths paths_;
  FileDescriptor lock_;
  std::vector<std::filesystem::path> made_;  // folders, the outer ones first
  std::set<std::string> before_;             // names that were in it
  bool listed_ = false;                      // before_ is complete
};

// Appends JSON objects to a file, one per line, each handed to the system at once, so that readers never see half a
// line for long. Opening drops a torn last line of a killed writer. NaN and infinities become null, bytes that are not
// UTF-8 the replacement character. Any thread may append. Throws Error when the disk is full or fails; the file then
// ends with the last whole line. Also throws Error when the file was removed.
class JsonLines {
 public:
  explicit JsonLines(std::filesystem::path path);

  void append(const nlohmann::ordered_json& object);

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::mutex mutex_;
  int64_t size_ = 0;
};

// For resuming at STEP: drops the lines whose "step" is greater and those that are not JSON objects, such as a torn
// last one. Returns how many were dropped. No file: 0. No writer may be open on it.
size_t truncate_json_lines(const std::filesystem::path& path, int64_t step);

}  // namespace flowrun::io
