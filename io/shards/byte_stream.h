#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "io/file.h"

namespace flowrun::io {

// Bytes that are read once, forward. One thread at a time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Gives at most SIZE of the next bytes, fewer as it likes; 0 only at the end. Throws Error.
  virtual size_t read(uint8_t* out, size_t size) = 0;
};

// Reads until SIZE bytes are there or the data end; returns their number.
size_t read_fully(ByteStream& stream, uint8_t* out, size_t size);

class SpanStream final : public ByteStream {
 public:
  explicit SpanStream(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  size_t read(uint8_t* out, size_t size) override;

 private:
  std::span<const uint8_t> bytes_;
};

// A regular file, read in large pieces. Errors name its path.
class FileStream final : public ByteStream {
 public:
  explicit FileStream(const std::filesystem::path& path);
  size_t read(uint8_t* out, size_t size) override;

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0, end_ = 0;
};

}  // namespace flowrun::io
