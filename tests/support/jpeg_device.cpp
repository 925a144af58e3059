// A plug-in that decodes JPEGs by libjpeg-turbo where image.nvjpeg_decode would ask nvJPEG, so that everything around nvJPEG
// runs without a GPU.
//
// FLOWRUN_JPEG_DEVICE: "missing" (no decoder can be made), "fails" (at its first picture), "inverts" (its pixels show who
// decoded them), "declines" (everything), "plain_only" (all but gray). FLOWRUN_JPEG_LOG: a file to which each decoder adds a
// line when it is destroyed: which GPU, how many pictures it decoded and how many it declined.
#include "nodes/lib/host/device/jpeg_device.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "io/codec/jpeg.h"
#include "io/error.h"

namespace flowrun {
namespace {

std::string setting(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Decoder {
  int gpu;
  int64_t huffman_pixels;
  io::JpegDecoder jpeg;
  io::PixelBuffer pixels;
  std::span<const uint8_t> bytes;
  std::string why;
  int decoded = 0, declined = 0;
  std::atomic<bool> busy{false};
};

/// A decoder is used by one thread at a time.
struct Use {
  explicit Use(void* decoder) : self(*static_cast<Decoder*>(decoder)) {
    if (self.busy.exchange(true)) std::abort();
  }
  ~Use() { self.busy = false; }
  Decoder& self;
};

void* make(int gpu, int64_t huffman_pixels, char* why, size_t room) {
  if (setting("FLOWRUN_JPEG_DEVICE") == "missing") return std::snprintf(why, room, "the test has no decoder"), nullptr;
  return new Decoder{gpu, huffman_pixels, io::JpegDecoder(), {}, {}, {}, 0, 0, {}};
}

void destroy(void* decoder) {
  const auto* const self = static_cast<Decoder*>(decoder);
  if (const std::string log = setting("FLOWRUN_JPEG_LOG"); !log.empty()) {
    std::ofstream(log, std::ios::app) << "gpu " << self->gpu << " huffman " << self->huffman_pixels << " decoded " << self->decoded << " declined "
                                      << self->declined << '\n';
  }
  delete self;
}

JpegStatus info(void* decoder, const uint8_t* bytes, size_t size, int* width, int* height) {
  const Use use(decoder);
  const std::string mode = setting("FLOWRUN_JPEG_DEVICE");
  const io::ImageInfo found = io::read_image_info({bytes, size});
  if (mode == "declines" || (mode == "plain_only" && found.channels == 1)) return ++use.self.declined, JpegStatus::declined;
  use.self.bytes = {bytes, size};
  *width = found.width, *height = found.height;
  return JpegStatus::done;
}

JpegStatus decode(void* decoder, const io::Rect* region, uint8_t* out) {
  const Use use(decoder);
  const std::string mode = setting("FLOWRUN_JPEG_DEVICE");
  if (mode == "fails") return use.self.why = "it has fallen off the bus", JpegStatus::failed;
  try {
    use.self.jpeg.decode(use.self.bytes, *region, use.self.pixels);
  } catch (const io::Error&) {
    return ++use.self.declined, JpegStatus::declined;
  }
  ++use.self.decoded;
  const std::vector<uint8_t>& pixels = use.self.pixels.pixels;
  std::memcpy(out, pixels.data(), pixels.size());
  for (size_t i = 0; mode == "inverts" && i < pixels.size(); ++i) out[i] = static_cast<uint8_t>(255 - out[i]);
  return JpegStatus::done;
}

const bool registered = [] {
  static constexpr JpegDevice device = {
      .make = make,
      .destroy = destroy,
      .info = info,
      .decode = decode,
      .why = [](const void* decoder) { return static_cast<const Decoder*>(decoder)->why.c_str(); },
  };
  register_jpeg_device(device);
  return true;
}();

}  // namespace
}  // namespace flowrun
