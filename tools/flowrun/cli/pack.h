// Commands on tar shards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace flowrun::cli {

struct IndexArgs {
  std::vector<std::string> shards;  // files and folders
  std::string out;                  // empty: index.flowrun beside the shards
  std::string labels = "auto";
  std::string image;  // empty: pictures by their extension
  int threads = 1;
  bool json = false, quiet = false;
};

struct PackArgs {
  std::vector<std::string> paths;  // the last is where to
  std::string to = "shards", labels = "auto", filter = "bicubic";
  int64_t shard_mib = 256;
  int resize = 0, quality = 90, threads = 1;
  std::string tiled;  // empty: no tiles; else tiles per row, or "mcu"
  bool zstd = false, json = false, quiet = false;
};

/// Writes the index of tar shards, which source.shards needs.
int index_shards(const IndexArgs& args);
/// A folder of images, or shards, to shards or a folder.
int pack(const PackArgs& args);

}  // namespace flowrun::cli
