#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/pack/pack.h"
#include "io/pack/pack_journal.h"
#include "io/pack/pack_source.h"

namespace flowrun::io {

// One sample in work.
struct PackedSample {
  std::vector<uint8_t> image;  // as it will be read again
  std::vector<uint8_t> chunk;  // the content of the shard: image and label as members, optionally compressed
  bool encoded_anew = false, tiled = false;
  std::optional<SampleRange> cut;  // as in PackedAs
};

// Destination of samples, in their order, from the first that the journal lacks.
class PackOutput {
 public:
  virtual ~PackOutput() = default;
  virtual void make_chunk(size_t, PackedSample&) const {}  // any thread
  virtual void put(size_t sample, const PackedSample& packed) = 0;
  virtual void finish() = 0;
};

// The name of a written sample: its extension says JPEG if it was converted.
std::string packed_name(const PackSource& source, size_t sample, bool encoded_anew);

std::unique_ptr<PackOutput> open_pack_output(const PackSource& source, const std::filesystem::path& to, const PackOptions& options,
                                             PackJournal& journal);

}  // namespace flowrun::io
