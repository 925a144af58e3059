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

// What of a pack is complete: a file of JSON lines in the output folder, the first of which says what is packed and how.
// Held open and locked, so that two programs don't write one folder. When all is done it is replaced by pack.json, which
// says the same without the blocks.
class PackJournal {
 public:
  // Makes FOLDER. Throws Error when it holds other things, or a pack whose HEADER differs, naming what differs.
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
