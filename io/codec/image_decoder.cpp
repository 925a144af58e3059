#include "io/codec/image_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/codec/gif.h"
#include "io/codec/jpeg.h"
#include "io/codec/png.h"
#include "io/codec/tiff.h"
#include "io/codec/webp.h"

namespace flowrun::io {

namespace {

// A turned picture's place (x, y) is the stored one's: first sides change places, then each may be mirrored.
struct Turn {
  bool swaps, mirrors_x, mirrors_y;
};

Turn turn_of(int orientation) {
  static constexpr Turn turns[] = {{false, false, false}, {false, true, false}, {false, true, true}, {false, false, true},
                                   {true, false, false},  {true, false, true},  {true, true, true},  {true, true, false}};
  return turns[orientation - 1];
}

Rect swapped(const Rect& r) { return {r.y, r.x, r.height, r.width}; }

Rect mirrored(Rect r, const Turn& turn, int width, int height) {
  if (turn.mirrors_x) r.x = width - r.x - r.width;
  if (turn.mirrors_y) r.y = height - r.y - r.height;
  return r;
}

int shrink_for(const Rect& region, int least_side) {
  for (const int shrink : {4, 2}) {  // 8 has no fast path in libjpeg-turbo
    if (least_side > 0 && std::min(region.width, region.height) / shrink >= least_side) return shrink;
  }
  return 1;
}

// The pixels of the shrunk picture that REGION touches.
Rect shrunk(const Rect& region, int shrink) {
  const int left = region.x / shrink, top = region.y / shrink;
  const auto up = [&](int end) { return (end + shrink - 1) / shrink; };
  return {left, top, up(region.x + region.width) - left, up(region.y + region.height) - top};
}

}  // namespace

struct ImageDecoder::State {
  JpegDecoder jpeg;
  PixelBuffer stored;   // before it is turned
  PixelBuffer scratch;  // of the formats' decoders
};

ImageDecoder::ImageDecoder() : state_(std::make_unique<State>()) {}
ImageDecoder::~ImageDecoder() = default;
ImageDecoder::ImageDecoder(ImageDecoder&&) noexcept = default;
ImageDecoder& ImageDecoder::operator=(ImageDecoder&&) noexcept = default;

Decoded ImageDecoder::decode(std::span<const uint8_t> bytes, const DecodeOptions& options, PixelBuffer& out) {
  return decode(bytes, read_image_info(bytes), options, out);
}

Decoded ImageDecoder::decode(std::span<const uint8_t> bytes, const ImageInfo& info, const DecodeOptions& options, PixelBuffer& out) {
  ImageInfo shown = info;
  if (!options.apply_orientation) shown.orientation = 1;
  const Rect all = turned_size(shown);
  const Rect wanted =
      checked_region({.region = options.region ? &*options.region : nullptr, .max_pixels = options.max_pixels}, info.format, all.width, all.height);
  const Rect region = stored_rect(wanted, shown);
  Decoded result;
  if (info.format == ImageFormat::jpeg) result.shrink = shrink_for(region, options.least_side);
  const Rect pixels = shrunk(region, result.shrink);
  // Without a region, faults after the pixels are found as well.
  DecodeRequest request{.region = options.region ? &pixels : nullptr,
                        .keep_truncated = options.keep_truncated,
                        .max_pixels = options.max_pixels,
                        .range = options.range};
  PixelBuffer& target = shown.orientation == 1 ? out : state_->stored;
  Found found;
  switch (info.format) {
    case ImageFormat::jpeg:
      if (options.jpeg != nullptr && result.shrink == 1 && options.jpeg->decode(bytes, info, pixels, target)) break;
      found.truncated = state_->jpeg.decode(bytes, request, result.shrink, target);
      break;
    case ImageFormat::png:
      found = decode_png(bytes, request, state_->scratch, target);
      break;
    case ImageFormat::webp:
      found.truncated = decode_webp(bytes, request, state_->scratch, target);
      break;
    case ImageFormat::gif:
      found = decode_gif(bytes, request, state_->scratch, target);
      break;
    case ImageFormat::tiff:
      found = decode_tiff(bytes, request, state_->scratch, target);
      break;
  }
  result.truncated = found.truncated;
  result.deep = found.deep;
  if (&target != &out) turn(target, shown.orientation, out);
  const int s = result.shrink;
  result.covers = turned_rect({pixels.x * s, pixels.y * s, pixels.width * s, pixels.height * s}, shown);
  return result;
}

Rect turned_size(const ImageInfo& info) {
  const Rect all{0, 0, info.width, info.height};
  return turn_of(info.orientation).swaps ? swapped(all) : all;
}

Rect stored_rect(const Rect& turned, const ImageInfo& info) {
  const Turn turn = turn_of(info.orientation);
  return mirrored(turn.swaps ? swapped(turned) : turned, turn, info.width, info.height);
}

Rect turned_rect(const Rect& stored, const ImageInfo& info) {
  const Turn turn = turn_of(info.orientation);
  const Rect rect = mirrored(stored, turn, info.width, info.height);
  return turn.swaps ? swapped(rect) : rect;
}

void turn(const PixelBuffer& in, int orientation, PixelBuffer& out) {
  const Turn turn = turn_of(orientation);
  const int width = turn.swaps ? in.height : in.width, height = turn.swaps ? in.width : in.height;
  const auto channels = static_cast<std::ptrdiff_t>(in.channels);
  out.reshape(height, width, in.channels);
  // Steps in the stored picture for one to the right, and one down, in the turned one.
  const std::ptrdiff_t across = turn.mirrors_x ? -channels : channels;
  const std::ptrdiff_t down = (turn.mirrors_y ? -channels : channels) * in.width;
  const auto [step_x, step_y] = turn.swaps ? std::pair(down, across) : std::pair(across, down);
  const uint8_t* first = in.pixels.data();
  if (turn.mirrors_x) first += channels * (in.width - 1);
  if (turn.mirrors_y) first += channels * in.width * (in.height - 1);
  // In squares, so that the stored rows that a transposition walks down stay in the cache.
  constexpr int square = 32;
  for (int top = 0; top < height; top += square) {
    for (int left = 0; left < width; left += square) {
      for (int y = top; y < std::min(top + square, height); ++y) {
        const uint8_t* from = first + y * step_y + left * step_x;
        uint8_t* to = out.pixels.data() + (static_cast<std::ptrdiff_t>(y) * width + left) * channels;
        for (int x = left; x < std::min(left + square, width); ++x, from += step_x, to += channels) {
          for (std::ptrdiff_t c = 0; c < channels; ++c) to[c] = from[c];
        }
      }
    }
  }
}

}  // namespace flowrun::io
