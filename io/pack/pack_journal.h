#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/file.h"

namespace flowrun::io {

// Consecutive samples that are packed and durable: a shard, or a number of files.
struct PackedBlock {
  std::string name;  // of the shard; empty for files
  uint64_t bytes = 0;
  std::vector<uint64_t> hashes;  // of each sample's image as it was written
};

// The journal of a pack: a file of JSON lines in the output folder that lists what is complete. The first line says what
// is packed and how. Held open and locked, so that two programs don't write one folder. At the end it is replaced by
// pack.json, which has the same contents without the blocks.
class PackJournal {
 public:
  // Makes FOLDER. Throws Error when it holds other files, or a pack whose HEADER differs, naming the difference.
  PackJournal(std::filesystem::path folder, nlohmann::ordered_json header);

  bool complete() const { return complete_; }
  const std::vector<PackedBlock>& blocks() const { return blocks_; }
  uint64_t samples() const;

  void add(PackedBlock block);
  void finish();

 private:
  void check_header(const nlohmann::json& written, const std::string& what) const;
  void read_blocks();
  void remove_dead_journal();

  std::filesystem::path folder_, path_;
  nlohmann::ordered_json header_;
  bool complete_ = false;
  FileDescriptor file_;
  std::vector<PackedBlock> blocks_;
};

}  // namespace flowrun::io
