#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/shards/zstd_frames.h"
#include "io/stores/random_file.h"

// The index of a set of tar shards: one binary file beside them, with the place of each image. With it any sample can be
// read at any time, so order, resume and ranks are the same for shards as for a folder, and no shuffle buffer is needed.

namespace flowrun::io {

inline constexpr const char* shard_index_name = "index.flowrun";

/// The source of labels: none, members .cls or .json, or folders in the members' names.
enum class LabelKind : uint32_t { none, cls, json, folder };
const char* label_kind_name(LabelKind kind);

struct Shard {
  std::string name;          // relative to the index's folder, or absolute
  uint64_t size = 0;         // of the file
  uint64_t fingerprint = 0;  // of its begin and end (shard_fingerprint)
  uint64_t content = 0;      // bytes of the archive, decompressed
  uint64_t first_frame = 0;
  uint64_t frames = 0;  // 0: not compressed
};

struct ShardSample {
  uint64_t offset = 0;  // of the image in the archive
  uint64_t hash = 0;    // XXH3 of the image's bytes
  uint64_t name = 0;    // where the member's name begins in `names`
  uint32_t size = 0;
  uint32_t shard = 0;
  int32_t label = -1;
  uint32_t name_size = 0;
};

/// The text beside an image, KEY.txt.
struct ShardCaption {
  uint64_t offset = 0;  // in the archive
  uint64_t hash = 0;    // XXH3 of its bytes
  uint32_t size = 0;    // 0: there is none
};

struct ShardIndex {
  LabelKind labels = LabelKind::none;
  std::vector<std::string> classes;  // by label; empty where labels are numbers alone
  std::vector<Shard> shards;
  std::vector<ZstdFrame> frames;       // shard by shard
  std::vector<ShardSample> samples;    // by shard, then by place
  std::vector<ShardCaption> captions;  // of each sample; empty: none has one
  std::string names;

  std::string_view name(const ShardSample& sample) const { return std::string_view(names).substr(sample.name, sample.name_size); }
  void add(ShardSample sample, std::string_view name);
  /// One more than the largest label.
  int64_t class_count() const;
  /// Whether the labels were written as numbers: then these are the classes' names, if there are any.
  bool numbers() const;
};

/// The same index gives the same bytes.
std::vector<uint8_t> encode_shard_index(const ShardIndex& index);

/// Checks everything: checksum, sizes, and that every sample lies in its shard. Throws Error "WHERE …".
ShardIndex parse_shard_index(std::span<const uint8_t> bytes, const std::string& where);

/// The index for PATH, which is a folder of shards or the file itself; either may be a URL.
std::string shard_index_path(const std::string& path);

uint64_t hash_of(std::span<const uint8_t> bytes);

/// Hash of the first and the last 64 KiB: detects another shard at once, without reading all of it.
uint64_t shard_fingerprint(const RandomFile& file);

}  // namespace flowrun::io
