#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/shards/shard_index.h"
#include "io/stores/random_file.h"

namespace flowrun::io {

// Random access to the images of indexed shards. Every shard is opened once, with the reader; afterwards any number of
// threads may read.
class ShardReader {
 public:
  // PATH: a folder of shards with its index, or the index file, on a disk or in an object store. Throws Error, saying what to do, when there is no
  // index, when a shard is missing, and when a shard's size, begin or end is not what was indexed.
  explicit ShardReader(const std::string& path);
  // The same for a given index; shards are found from FOLDER.
  ShardReader(ShardIndex index, const std::string& folder);

  const ShardIndex& index() const { return index_; }
  // "shard.tar: member"
  std::string key(size_t sample) const;

  // The image's bytes; OUT keeps its capacity. VERIFY compares their hash with the index. Throws Error when the shard
  // was changed or can't be read.
  void read(size_t sample, bool verify, std::vector<uint8_t>& out) const;
  // The text beside it, likewise; empty: there is none.
  void read_caption(size_t sample, bool verify, std::vector<uint8_t>& out) const;
  // Asks for a sample that is needed soon, and does not wait.
  void prefetch(size_t sample) const;

 private:
  using Frames = std::vector<ZstdFrame>;
  // The frame that holds the first of the sample's bytes.
  Frames::const_iterator first_frame(const Shard& shard, const ShardSample& sample) const;
  void open_shards();
  void read_member(const ShardSample& member, bool verify, std::vector<uint8_t>& out) const;
  void read_frames(const Shard& shard, const ShardSample& sample, std::vector<uint8_t>& out) const;
  std::string cure() const;

  std::string folder_;
  ShardIndex index_;
  std::vector<std::string> paths_;
  std::vector<std::unique_ptr<RandomFile>> files_;
};

}  // namespace flowrun::io
