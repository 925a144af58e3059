#include "io/codec/webp.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <webp/decode.h>
#include <webp/demux.h>

#include "io/error.h"

namespace flowrun::io {

namespace {

using Bytes = std::span<const uint8_t>;

// The file's size in its first chunk is more reliable than libwebp's status, which calls some corrupt data short.
bool ends_too_early(Bytes bytes) {
  const uint64_t told = uint64_t{bytes[4]} | uint64_t{bytes[5]} << 8 | uint64_t{bytes[6]} << 16 | uint64_t{bytes[7]} << 24;
  return told + 8 > bytes.size();
}

std::string broken(Bytes bytes, const std::string& why) { return "broken WebP of " + std::to_string(bytes.size()) + " bytes: " + why; }

WebPDecBuffer rgb_buffer(PixelBuffer& pixels) {
  WebPDecBuffer buffer;
  if (WebPInitDecBuffer(&buffer) == 0) throw Error("libwebp has another version than its header");
  buffer.colorspace = MODE_RGB;
  buffer.is_external_memory = 1;
  buffer.width = pixels.width;
  buffer.height = pixels.height;
  buffer.u.RGBA = {pixels.pixels.data(), pixels.width * 3, pixels.pixels.size()};
  return buffer;
}

// One bitstream's pixels in REGION. False: libwebp refuses it.
bool decode_complete(Bytes bytes, const Rect& region, int width, int height, PixelBuffer& scratch, PixelBuffer& out) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) throw Error("libwebp has another version than its header");
  const bool whole = region.width == width && region.height == height;
  // Two pixels more on each side give the chroma upsampling the neighbours it has in the whole picture. libwebp rounds
  // corners down to even places.
  const int left = std::max(region.x - 2, 0) & ~1, top = std::max(region.y - 2, 0) & ~1;
  const Rect wider{left, top, std::min(region.x + region.width + 2, width) - left, std::min(region.y + region.height + 2, height) - top};
  PixelBuffer& target = whole ? out : scratch;
  target.reshape(wider.height, wider.width, 3);
  config.output = rgb_buffer(target);
  config.options.use_cropping = whole ? 0 : 1;
  config.options.crop_left = left;
  config.options.crop_top = top;
  config.options.crop_width = wider.width;
  config.options.crop_height = wider.height;
  if (WebPDecode(bytes.data(), bytes.size(), &config) != VP8_STATUS_OK) return false;
  if (!whole) copy_rect(scratch, {region.x - left, region.y - top, region.width, region.height}, out);
  return true;
}

// The available rows, the others black. False: libwebp refuses it.
bool decode_cut(Bytes bytes, int width, int height, PixelBuffer& out) {
  out.reshape(height, width, 3);
  WebPDecBuffer buffer = rgb_buffer(out);
  const std::unique_ptr<WebPIDecoder, decltype(&WebPIDelete)> decoder(WebPINewDecoder(&buffer), WebPIDelete);
  if (!decoder) throw Error("libwebp can't decode in parts");
  const VP8StatusCode status = WebPIUpdate(decoder.get(), bytes.data(), bytes.size());
  if (status != VP8_STATUS_OK && status != VP8_STATUS_SUSPENDED) return false;
  int rows = 0;
  if (WebPIDecGetRGB(decoder.get(), &rows, nullptr, nullptr, nullptr) == nullptr) rows = 0;
  const size_t there = static_cast<size_t>(std::clamp(rows, 0, height)) * static_cast<size_t>(width) * 3;
  std::fill(out.pixels.begin() + static_cast<std::ptrdiff_t>(there), out.pixels.end(), uint8_t{0});
  return true;
}

// The first frame of an animation on its canvas, which is black.
void decode_frame(Bytes bytes, bool cut, const Rect& region, int width, int height, PixelBuffer& scratch, PixelBuffer& out) {
  const WebPData data{bytes.data(), bytes.size()};
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> demuxer(WebPDemuxPartial(&data, &state), WebPDemuxDelete);
  PixelBuffer frame;
  frame.reshape(height, width, 3);
  std::fill(frame.pixels.begin(), frame.pixels.end(), uint8_t{0});
  WebPIterator first{};
  if (demuxer && WebPDemuxGetFrame(demuxer.get(), 1, &first) != 0) {
    const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(&first, WebPDemuxReleaseIterator);
    const Bytes fragment(first.fragment.bytes, first.fragment.size);
    const bool fits = first.width > 0 && first.height > 0 && first.width <= width - first.x_offset && first.height <= height - first.y_offset;
    const bool ok =
        fits && (first.complete != 0 ? decode_complete(fragment, {0, 0, first.width, first.height}, first.width, first.height, scratch, scratch)
                                     : decode_cut(fragment, first.width, first.height, scratch));
    if (!ok) throw Error(broken(bytes, "its first frame can't be decoded"));
    const size_t row = static_cast<size_t>(first.width) * 3;
    for (int y = 0; y < first.height; ++y) {
      const size_t to = (static_cast<size_t>(first.y_offset + y) * static_cast<size_t>(width) + static_cast<size_t>(first.x_offset)) * 3;
      std::memcpy(frame.pixels.data() + to, scratch.pixels.data() + static_cast<size_t>(y) * row, row);
    }
  } else if (!cut) {
    throw Error(broken(bytes, "it has no first frame"));
  }
  copy_rect(frame, region, out);
}

}  // namespace

bool decode_webp(Bytes bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out) {
  if (recognise_format(bytes) != ImageFormat::webp) throw Error("not a WebP: " + describe_content(bytes));
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  const bool cut = ends_too_early(bytes);
  if (status != VP8_STATUS_OK && cut) throw TruncatedError(broken(bytes, "truncated: it ends within its header"));
  if (status != VP8_STATUS_OK) throw Error(broken(bytes, "its header makes no sense"));
  const Rect region = checked_region(request, ImageFormat::webp, features.width, features.height);
  if (cut && !request.keep_truncated) throw TruncatedError(broken(bytes, "truncated: the file ends too early"));
  if (features.has_animation != 0) {
    decode_frame(bytes, cut, region, features.width, features.height, scratch, out);
  } else if (cut) {
    if (!decode_cut(bytes, features.width, features.height, scratch)) throw Error(broken(bytes, "its data are corrupt"));
    copy_rect(scratch, region, out);
  } else if (!decode_complete(bytes, region, features.width, features.height, scratch, out)) {
    throw Error(broken(bytes, "its data are corrupt"));
  }
  return cut;
}

}  // namespace flowrun::io
