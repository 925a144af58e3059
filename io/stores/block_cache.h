// Blocks of objects on this machine's disk, so that a store is asked for each once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <span>
#include <string>

#include "io/stores/object_store.h"

namespace flowrun::io {

inline constexpr uint64_t block_bytes = uint64_t{1} << 20;

// A folder that holds at most LIMIT bytes, besides what is being written: the blocks that were used longest ago are removed. Several
// processes may share it. What can't be written (a full disk) is read from the store each time. Any thread.
class BlockCache {
 public:
  BlockCache(std::filesystem::path folder, uint64_t limit);
  // Bytes of an object, through its blocks. Throws Error as the store does.
  void read(const ObjectStore& store, const StoredObject& object, uint64_t offset, std::span<uint8_t> out);
  uint64_t limit() const { return limit_; }

 private:
  void read_block(const ObjectStore& store, const StoredObject& object, uint64_t block, uint64_t begin, std::span<uint8_t> out);
  std::filesystem::path path_of(const StoredObject& object, uint64_t block) const;
  void keep(const std::filesystem::path& path, std::span<const uint8_t> bytes);
  void make_room();

  const std::filesystem::path folder_;
  const uint64_t limit_;
  std::mutex mutex_;
  std::condition_variable fetched_;
  std::set<std::filesystem::path> fetching_;  // by threads of this process
  uint64_t writing_ = 0;                      // bytes
  uint64_t used_ = 0;                         // as of the last look at the folder, and what was written since
  bool looked_ = false;
};

// FLOWRUN_BLOCKS, or flowrun/blocks in the user's cache; FLOWRUN_BLOCKS_GIB, 20 by default, 0: there is none. Null: none.
BlockCache* block_cache();

}  // namespace flowrun::io
