#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "io/codec/image.h"
#include "io/codec/image_format.h"

namespace flowrun::io {

// Decodes JPEG to RGB, equal to Pillow's open().convert("RGB") in every bit: accurate integer DCT, smooth chroma
// upsampling, gray replicated, CMYK taken as Adobe stores it (inverted). EXIF rotation is not applied, as in Pillow.
// Keeps its handle and buffers between images: one object per thread.
//
// A request that keeps truncated files gets libjpeg's result for the available data: coarser or gray after their end,
// as Pillow's with ImageFile.LOAD_TRUNCATED_IMAGES. Corrupt data are an Error all the same.
//
// Throws Error on what is not a JPEG and on corrupt data, TruncatedError where the file ends too early, and, before
// anything is allocated, as checked_region(). The bytes have no name here: the caller adds the file. After an error it
// can be used again.
class JpegDecoder {
 public:
  explicit JpegDecoder(int64_t max_pixels = default_max_pixels);  // for the two short forms
  ~JpegDecoder();
  JpegDecoder(JpegDecoder&&) noexcept;
  JpegDecoder& operator=(JpegDecoder&&) noexcept;

  // OUT becomes H W 3 of the whole image.
  void decode(std::span<const uint8_t> bytes, PixelBuffer& out);

  // OUT becomes the REGION's H W 3: the same pixels as a whole decode, in less time. Data after the region's last row
  // is not read, so faults there are not found. Throws Error when the region is not inside the image.
  void decode(std::span<const uint8_t> bytes, const Rect& region, PixelBuffer& out);

  // With SHRINK 2, 4 or 8 of 1/2, 1/4 or 1/8 of each side, rounded up, made by smaller DCTs: other pixels than a resize
  // has, as Pillow's draft(). The request's region is one of the small picture. Returns whether the file ends too early.
  bool decode(std::span<const uint8_t> bytes, const DecodeRequest& request, int shrink, PixelBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class ChromaSampling { s444, s422, s420 };

// Encodes H W 3 RGB or H W 1 gray; QUALITY from 1 to 100 as libjpeg counts. The same pixels give the same bytes.
void encode_jpeg(const ImageView& image, int quality, std::vector<uint8_t>& out, ChromaSampling sampling = ChromaSampling::s420);

}  // namespace flowrun::io
