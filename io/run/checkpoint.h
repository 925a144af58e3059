#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/run/safetensors.h"

// Checkpoints are directories ROOT/step-N of safetensors and JSON files plus manifest.json, which lists every file with
// its size and XXH3-64. They are written under a hidden name, fsynced and renamed: a folder called step-N is complete.

namespace flowrun::io {

struct CheckpointFile {
  std::string name;
  uint64_t bytes = 0;
  std::string xxh3_64;  // 16 hex digits
};

struct Manifest {
  int64_t step = 0;
  std::vector<CheckpointFile> files;  // sorted by name
  nlohmann::json extra;               // the argument of commit()
};

// Writes one checkpoint. At most one writer may exist per ROOT at a time: a new one removes leftovers of killed
// writers. Every function throws Error when the disk is full or fails. Then, and when the writer is destroyed without
// commit(), its temporary directory is removed and earlier checkpoints are unchanged. Not for several threads at once.
class CheckpointWriter {
 public:
  // Creates ROOT when it is missing, but not the folder that it is in.
  CheckpointWriter(std::filesystem::path root, int64_t step);
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;
  ~CheckpointWriter();

  void add_tensors(const std::string& name, std::span<const TensorEntry> entries, const TensorMetadata& metadata = {});
  void add_json(const std::string& name, const nlohmann::json& value);

  // Makes the checkpoint visible and durable and returns its directory. One of the same step is replaced in one move.
  std::filesystem::path commit(const nlohmann::json& extra = nlohmann::json::object());

 private:
  void add_file(const std::string& name, const std::function<void(const ByteSink&)>& produce);
  void write_manifest(const nlohmann::json& extra);

  std::filesystem::path root_;
  int64_t step_;
  std::filesystem::path temporary_;
  std::vector<CheckpointFile> files_;
};

// Removes all but the COUNT newest complete checkpoints of ROOT, but never JUST_WRITTEN, which may be older than others
// when a run was resumed further back. A checkpoint is complete here if every file is there in its size (no hashes).
// Incomplete ones stay.
void keep_newest_checkpoints(const std::filesystem::path& root, size_t count, const std::filesystem::path& just_written);

// Reads the manifest and verifies the size and hash of every file. Throws Error naming the first that is wrong.
Manifest open_checkpoint(const std::filesystem::path& directory);

// The checkpoint of the highest step that open_checkpoint accepts; none when there is none or no ROOT. For every newer
// one that was skipped, SKIPPED (if given) gets a sentence with the reason.
std::optional<std::filesystem::path> newest_complete_checkpoint(const std::filesystem::path& root, std::vector<std::string>* skipped = nullptr);

// The manifest of the newest checkpoint whose files are all there in their sizes (no hashes): to tell what a run has, not to read it.
std::optional<Manifest> newest_manifest(const std::filesystem::path& root);

// Whether any checkpoint of ROOT is complete as keep_newest_checkpoints() has it: sizes, no hashes.
bool has_checkpoint(const std::filesystem::path& root);

// Reads a manifest held in memory; WHERE is named in errors.
Manifest parse_manifest(std::string_view text, const std::string& where);

}  // namespace flowrun::io
