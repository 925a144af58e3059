#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <nlohmann/json_fwd.hpp>

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
  std::filesystem::path quarantine;   // quarantine.jsonl, samples that failed
  std::filesystem::path log;          // log.txt
};

// Whether any file of a run is in the directory, with something in it: one that was broken off while it opened is none.
bool holds_run(const std::filesystem::path& directory);

// Whether a process is writing into it. False where the file system has no locks.
bool is_locked(const std::filesystem::path& directory);

// The directory that one run writes into, held by this process alone while the object lives.
class RunDirectory {
 public:
  // Without RESUME creates OUT (parents too) and refuses one that holds a run already; with RESUME refuses one that
  // holds none. Both refuse one that another process is writing. Throws Error naming the fix.
  RunDirectory(const std::filesystem::path& out, bool resume);

  const RunPaths& paths() const { return paths_; }

 private:
  RunPaths paths_;
  FileDescriptor lock_;
};

// Appends JSON objects to a file, one per line, each handed to the system at once, so that readers never see half a
// line for long. Opening drops a last line that a killed writer left torn. NaN and infinities become null, bytes that
// are no UTF-8 the replacement character. Any thread may append. Throws Error when the disk is full or fails; the file
// then ends with the last whole line.
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
