#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "io/codec/image.h"
#include "io/codec/image_format.h"

namespace flowrun::io {

// Another decoder than libjpeg, for the JPEGs that it can decode: a GPU.
class JpegBackend {
 public:
  virtual ~JpegBackend() = default;
  // OUT becomes the REGION's H W 3 of the picture as it is stored, whose header INFO is. False: it declines; then libjpeg
  // decodes the file, or reports its fault. Any thread, several at once. Throws if the backend itself fails.
  virtual bool decode(std::span<const uint8_t> bytes, const ImageInfo& info, const Rect& region, PixelBuffer& out) const = 0;
};

struct DecodeOptions {
  std::optional<Rect> region;      // in pixels of the whole picture, turned if apply_orientation says so; else everything
  bool apply_orientation = false;  // turns the picture as its EXIF orientation says
  bool keep_truncated = false;     // decodes a file that ends too early as far as it goes, the rest gray, coarse or black
  int least_side = 0;              // above 0: JPEGs are shrunk by 2 or 4 while decoding, as long as both sides keep this
  int64_t max_pixels = default_max_pixels;
  const JpegBackend* jpeg = nullptr;  // asked first, except for shrunk pictures
  std::optional<SampleRange> range;   // of samples with more than 8 bits, as in DecodeRequest
};

struct Decoded {
  bool truncated = false;  // and kept
  int shrink = 1;          // pixels of the whole picture on each side of a decoded one
  // The area that the pixels show, in pixels of the whole picture: the region, or, when shrunk, the multiples of
  // `shrink` around it (of the stored picture), which may reach over its edge.
  Rect covers;
  std::optional<SampleRange> deep;  // the smallest and largest value read, of a picture with more than 8 bits a sample
};

// Decodes JPEG, PNG, WebP, GIF and TIFF, told apart by content, to H W 3 RGB. A region equals the same region of the whole decode
// in every bit. Keeps handles and buffers between pictures: one object per thread; after an error it can be used again.
class ImageDecoder {
 public:
  ImageDecoder();
  ~ImageDecoder();
  ImageDecoder(ImageDecoder&&) noexcept;
  ImageDecoder& operator=(ImageDecoder&&) noexcept;

  // INFO is the result of read_image_info() for these bytes. Throws Error and TruncatedError as the formats' decoders
  // do.
  Decoded decode(std::span<const uint8_t> bytes, const ImageInfo& info, const DecodeOptions& options, PixelBuffer& out);
  Decoded decode(std::span<const uint8_t> bytes, const DecodeOptions& options, PixelBuffer& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Width and height as shown: those of EXIF orientations 5 to 8 change places.
Rect turned_size(const ImageInfo& info);
// A rectangle of the turned picture in the stored one, and back.
Rect stored_rect(const Rect& turned, const ImageInfo& info);
Rect turned_rect(const Rect& stored, const ImageInfo& info);
// OUT becomes IN turned as EXIF orientation 1 to 8 says, which is what PIL.ImageOps.exif_transpose does.
void turn(const PixelBuffer& in, int orientation, PixelBuffer& out);

}  // namespace flowrun::io
