#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The safetensors format: a JSON header of names, types, shapes and offsets, then the packed tensors. Little-endian.
// https://github.com/huggingface/safetensors

namespace flowrun::io {

// A tensor in C order, owned elsewhere. An empty shape is a scalar.
struct TensorEntry {
  std::string name;
  std::string dtype;  // "F64" "F32" "F16" "BF16" "I64" "I32" "I16" "I8" "U64" "U32" "U16" "U8" "BOOL" "F8_E4M3" …
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

using TensorMetadata = std::map<std::string, std::string>;
using ByteSink = std::function<void(std::span<const std::byte>)>;

// Bytes per element; 0 for an unknown dtype.
size_t dtype_size(std::string_view dtype);

// Writes the file, durable and all or nothing. The data begins at a multiple of 64 bytes, and tensors are ordered by
// falling element size (else as given), so that every one is aligned to its elements in a mapping. The same entries
// give the same bytes. Throws Error when a name occurs twice, a dtype is unknown, or data does not fit dtype x shape.
void write_safetensors(const std::filesystem::path& path, std::span<const TensorEntry> entries, const TensorMetadata& metadata = {});

// The beginning of a file with such tensors, up to their data, which may come later: the entries' `data` are not looked at.
struct SafetensorsHead {
  std::string text;
  std::vector<uint64_t> begin;  // of each entry's data, from the beginning of the file
  std::vector<size_t> order;    // of the data: places among the entries
};
SafetensorsHead safetensors_head(const std::string& where, std::span<const TensorEntry> entries, const TensorMetadata& metadata = {});

// Writes the same bytes to SINK, for hashing or counting them. WHERE is named in errors.
void stream_safetensors(const std::string& where, std::span<const TensorEntry> entries, const TensorMetadata& metadata, const ByteSink& sink);

// A safetensors file mapped read-only. Everything is checked on opening: sizes, dtypes, duplicate keys, overlaps,
// holes, bytes left over. Data spans point into the mapping and live as long as this object. Several threads may read.
// The file must not be shortened while it is open (replacing it by rename is fine).
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  ~SafetensorsFile();

  const std::vector<TensorEntry>& entries() const { return entries_; }  // in the order of their data
  std::vector<std::string> names() const;
  const TensorEntry* find(std::string_view name) const;  // null when there is none
  const TensorEntry& at(std::string_view name) const;    // throws Error, naming the file and close names
  const TensorMetadata& metadata() const { return metadata_; }

 private:
  std::string path_;
  std::span<const std::byte> mapping_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
  TensorMetadata metadata_;
};

struct SafetensorsContent {
  std::vector<TensorEntry> entries;
  TensorMetadata metadata;
};

// Checks and reads a whole file held in memory; the entries point into BYTES. WHERE is named in errors.
SafetensorsContent parse_safetensors(std::span<const std::byte> bytes, const std::string& where);

}  // namespace flowrun::io
