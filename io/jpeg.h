#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "io/image.h"

namespace flowrun::io {

struct JpegInfo {
  int width = 0;
  int height = 0;
  int components = 0;  // 1 gray, 3 colour, 4 CMYK or YCCK
  bool progressive = false;
};

// Reads the header alone. Throws Error when the bytes are empty, not a JPEG (saying what they look like) or end within
// it.
JpegInfo read_jpeg_info(std::span<const uint8_t> bytes);

// Decodes JPEG to RGB, equal to Pillow's open().convert("RGB") in every bit: accurate integer DCT, smooth chroma
// upsampling, gray replicated, CMYK taken as Adobe stores it (inverted). EXIF rotation is not applied, as in Pillow.
// Keeps its handle and buffers between images: one object per thread.
//
// Throws Error on what is not a JPEG, on truncated and on corrupt data, and, before anything is allocated, on images
// of more than MAX_PIXELS. The bytes have no name here: the caller adds the file. After an error it can be used again.
class JpegDecoder {
 public:
  static constexpr int64_t default_max_pixels = 178'956'970;  // where Pillow suspects a decompression bomb

  explicit JpegDecoder(int64_t max_pixels = default_max_pixels);
  ~JpegDecoder();
  JpegDecoder(JpegDecoder&&) noexcept;
  JpegDecoder& operator=(JpegDecoder&&) noexcept;

  // OUT becomes H W 3 of the whole image.
  void decode(std::span<const uint8_t> bytes, PixelBuffer& out);

  // OUT becomes the REGION's H W 3: the pixels that the whole decode has there, for less time. Data after the region's
  // last row is not looked at, so faults there are not found. Throws Error when the region is not inside the image.
  void decode(std::span<const uint8_t> bytes, const Rect& region, PixelBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class ChromaSampling { s444, s422, s420 };

// Encodes H W 3 RGB or H W 1 gray; QUALITY from 1 to 100 as libjpeg counts. The same pixels give the same bytes.
void encode_jpeg(const ImageView& image, int quality, std::vector<uint8_t>& out, ChromaSampling sampling = ChromaSampling::s420);

}  // namespace flowrun::io
