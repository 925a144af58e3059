// JPEG decoding on a device, for nodes that need the pixels on the host: nvJPEG (nodes/lib/tensor/cuda/nvjpeg.cpp), or a test's
// replacement.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/codec/image_decoder.h"

namespace flowrun {

enum class JpegStatus : int {
  done,
  declined,  // not a file for this device, or a broken one
  failed,    // the device failed: why() gives the reason
};

/// Plain functions, since they may be in a module that is opened at run time. They throw nothing.
struct JpegDevice {
  /// A decoder on that GPU with its own CUDA stream and buffers. Pictures of more than `huffman_pixels` have their Huffman
  /// codes read by the device, others by the host. Null if it can't be made: `why`, of `room` bytes, says why not.
  void* (*make)(int gpu, int64_t huffman_pixels, char* why, size_t room);
  void (*destroy)(void* decoder);
  // For one decoder, by one thread at a time:
  /// Reads the header; `bytes` must stay until decode() is done.
  JpegStatus (*info)(void* decoder, const uint8_t* bytes, size_t size, int* width, int* height);
  /// The region, which lies inside the picture, to `out` on the host: H W 3 RGB.
  JpegStatus (*decode)(void* decoder, const io::Rect* region, uint8_t* out);
  const char* (*why)(const void* decoder);
};

/// In place of nvJPEG; the last one registered wins. Before anything is opened.
void register_jpeg_device(const JpegDevice& device);

/// Decodes with one of the device's decoders for each thread that decodes at the same time.
class JpegDecoders final : public io::JpegBackend {
 public:
  /// Opens this rank's GPU. Throws std::runtime_error that says what is missing if there is no GPU or no nvJPEG.
  explicit JpegDecoders(int64_t huffman_pixels);
  ~JpegDecoders() override;
  JpegDecoders(const JpegDecoders&) = delete;
  JpegDecoders& operator=(const JpegDecoders&) = delete;

  /// Throws FatalNodeError if the device fails.
  bool decode(std::span<const uint8_t> bytes, const io::ImageInfo& info, const io::Rect& region, io::PixelBuffer& out) const override;

 private:
  struct Lease;
  void* make() const;

  const JpegDevice* device_;
  int64_t huffman_pixels_;
  mutable std::mutex mutex_;
  mutable std::vector<void*> idle_;
};

}  // namespace flowrun
