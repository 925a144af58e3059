#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/pack/pack.h"

namespace flowrun::io {

// The input of a pack, sample by sample.
class PackSource {
 public:
  virtual ~PackSource() = default;

  // One of the two gives the bytes: take() is called in order, one call at a time, and read() afterwards by any thread.
  virtual void take(size_t, std::vector<uint8_t>&) {}
  virtual void read(size_t, std::vector<uint8_t>&) const {}
  // For messages.
  virtual std::string where(size_t sample) const = 0;

  // Names below the output: relative, without "." and "..", no key twice (shards) and no path twice (folders).
  std::vector<std::string> names;
  std::vector<int> labels;  // -1: none
  std::vector<std::string> classes;
  LabelKind kind = LabelKind::none;
  uint64_t captions = 0;                     // texts beside images, which are left out
  std::vector<std::filesystem::path> roots;  // where it lies
};

// A folder of images, or shards, depending on FROM. Reads the shards once, to list their contents.
std::unique_ptr<PackSource> open_pack_source(const std::vector<std::string>& from, const PackOptions& options);

// The position of the first dot after the last slash: the sample's key ends there. The end if there is none.
size_t key_size(std::string_view name);

}  // namespace flowrun::io
