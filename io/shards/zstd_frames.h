#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/shards/byte_stream.h"

// Zstandard data as a sequence of frames, each of which can be decompressed alone: random access is by frame.

namespace flowrun::io {

struct ZstdFrame {
  uint64_t offset = 0;          // in the compressed bytes
  uint64_t size = 0;            // compressed
  uint64_t content_offset = 0;  // in the decompressed bytes
  uint64_t content_size = 0;
};

// Whether a file with these first bytes is compressed by zstd.
bool looks_like_zstd(std::span<const uint8_t> first_bytes);

// Decompresses forward and notes where frames lie; empty and skippable ones are left out. Frames whose window is larger
// than 128 MiB (zstd --long=28 and more) are refused. Errors begin with WHERE.
class ZstdStream final : public ByteStream {
 public:
  ZstdStream(ByteStream& compressed, std::string where);
  ~ZstdStream() override;
  ZstdStream(const ZstdStream&) = delete;
  ZstdStream& operator=(const ZstdStream&) = delete;

  size_t read(uint8_t* out, size_t size) override;
  // The frames that were read to their end.
  const std::vector<ZstdFrame>& frames() const { return frames_; }

 private:
  void end_frame();

  ByteStream& compressed_;
  std::string where_;
  void* context_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0, end_ = 0;  // of what is left in the buffer
  uint64_t consumed_ = 0, produced_ = 0;
  ZstdFrame frame_;  // the present one
  bool in_frame_ = false;
  std::vector<ZstdFrame> frames_;
};

inline constexpr int zstd_level = 3;

// Appends CONTENT as one frame, with its size and checksum. The same content gives the same bytes with one version of
// the library. Any thread.
void append_zstd_frame(std::span<const uint8_t> content, std::vector<uint8_t>& out);

// Decompresses one frame of exactly CONTENT.size() bytes. Any thread. Throws Error, without a name, when it is damaged
// or of another size.
void decompress_zstd_frame(std::span<const uint8_t> frame, std::span<uint8_t> content);

}  // namespace flowrun::io
