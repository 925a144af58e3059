#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/shards/byte_stream.h"
#include "io/shards/shard_index.h"

// Builds an index: shards are read once, and their members combined into samples as WebDataset does.

namespace flowrun::io {

// The members of one sample in a shard: the consecutive members whose names are equal up to the first dot behind the
// last slash. Members without such a dot, or whose base name begins with one, belong to none.
struct ScannedSample {
  std::string image;  // the member's name
  uint64_t offset = 0, hash = 0;
  uint32_t size = 0;
  ShardCaption caption;             // of KEY.txt; longer ones than 64 KiB, and links, are none
  std::optional<std::string> cls;   // of KEY.cls: a number or a name
  std::optional<std::string> json;  // of KEY.json: a number, a name or null under "label", "cls" or "class"
};

struct ScannedShard {
  Shard shard;  // without name and fingerprint
  std::vector<ZstdFrame> frames;
  std::vector<ScannedSample> samples;
  uint64_t passed_over = 0;  // members that belong to no image
};

// Reads a plain or compressed archive to its end; its first bytes tell which it is. Throws Error, naming WHERE and the member, on what tar.h and
// zstd_frames.h refuse, on a key that comes again, a sample with two images, with a label and without an image, a .cls that holds no line of text,
// members that are too large for what they are, links in place of images, and archives that gzip, bzip2 or xz compressed. IMAGE: the ending after
// the key's dot in the names of images ("jpg", "image.png"); empty: the extension of a picture, and where a sample has several the one with nothing
// in between.
ScannedShard scan_shard(ByteStream& stream, const std::string& where, const std::string& image = {});

struct IndexOptions {
  std::optional<LabelKind> labels;  // without: .cls where a sample has it, else .json, else folders
  std::string image;                // as scan_shard takes it
  int threads = 1;
  bool archives = false;  // also zip, 7z and compressed tars, of which offsets are those in the tar that their files would be
  // Reading a sample decompresses its frames: with a program that writes a single frame that would be the whole shard.
  uint64_t largest_frame = uint64_t{64} << 20;
  std::function<void(uint64_t bytes)> progress;  // bytes of shards that were read since the last call; any thread
};

struct IndexedShards {
  ShardIndex index;
  std::string remark;  // a warning about the labels for the user; empty: none
  uint64_t passed_over = 0;
};

// The shards of the paths: files, and the .tar, .tar.zst and .tzst of folders; sorted by name. Throws Error when there
// are none, when one comes twice, and on names of archives that gzip and others compressed.
std::vector<std::filesystem::path> list_shards(std::span<const std::string> paths);

// Samples are in the order of the shards, then in their order inside. Folder labels: the folder below what all names
// share; the classes are those folders, sorted. Shards are named relative to FOLDER, where the index will lie. Throws
// Error as scan_shard does, on samples that lack the kind of label, on frames over the limit, and when there is no
// image at all.
IndexedShards index_shards(const std::vector<std::filesystem::path>& shards, const std::filesystem::path& folder, const IndexOptions& options);

// The second half of it: scanned shards to one index; `shards` has their paths. The scans are used up.
IndexedShards merge_scans(std::vector<ScannedShard>& scans, const std::vector<std::filesystem::path>& shards, const IndexOptions& options);

}  // namespace flowrun::io
