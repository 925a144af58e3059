#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/codec/image_format.h"
#include "io/resize/resize.h"
#include "io/shards/shard_index.h"

// flowrun pack: a folder of images, or tar shards, to shards with an index or to a folder.

namespace flowrun::io {

struct PackOptions {
  bool to_folder = false;
  uint64_t shard_bytes = uint64_t{256} << 20;  // a shard ends before it would be larger, unless one sample is
  bool zstd = false;                           // one frame per sample
  int resize = 0;                              // shortest side; 0: images stay as they are
  int quality = 90;                            // of what is resized
  Filter filter = Filter::bicubic;
  std::optional<int> tiles_per_row;  // JPEGs are tiled (jpeg_tiles.h); 0: a tile per MCU
  std::optional<LabelKind> labels;   // where shards' labels come from, as in IndexOptions
  int threads = 1;
  std::function<void(const char* what, uint64_t done, uint64_t total)> progress;  // one thread at a time
};

// Pictures with 16 bits a sample that were resized: JPEG has 8, and the upper 8 were taken.
struct CutPictures {
  uint64_t count = 0;
  std::string first;   // its file
  SampleRange values;  // of the first
};

struct PackReport {
  uint64_t samples = 0, shards = 0, bytes = 0;
  uint64_t resized = 0;       // in this call
  uint64_t tiled = 0;         // in this call
  CutPictures cut;            // in this call
  uint64_t found = 0;         // samples that an earlier call, which was stopped, had packed
  bool was_complete = false;  // there was nothing to do
  LabelKind labels = LabelKind::none;
  int64_t classes = 0;
  uint64_t captions = 0;  // texts beside images, which were left out
};

// Packs FROM (one folder of images, or shards and folders of shards) into the folder TO. Its output depends on images
// and options, not on threads. Each shard appears complete under its name; a journal lists what is complete, so that a
// repeated call with the same options continues there. At the end everything is read again and compared; the index is
// written last. Image files of samples keep their bytes unless they are resized or tiled.
//
// Throws Error, naming the file, when an image's header can't be read or, with resize, the image; when TO holds
// something else, a pack with other options or of other images, or is being written by another program; and when the
// data read again differ.
PackReport pack(const std::vector<std::string>& from, const std::filesystem::path& to, const PackOptions& options);

}  // namespace flowrun::io
