// Any bytes for plain_jpeg(): libjpeg must find the end of every file that it accepts.
#include "io/codec/jpeg_plain.h"

#include "io/codec/image_format.h"
#include "io/codec/jpeg.h"
#include "io/error.h"
#include "tests/fuzz/picture.h"

using namespace flowrun::io;
using namespace flowrun::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static JpegDecoder decoder(max_pixels);
  const std::span bytes(data, size);
  const auto plain = plain_jpeg(bytes);
  if (plain.empty()) return 0;
  require(plain.data() == data && plain.size() <= size && plain_jpeg(plain).size() == plain.size(), "plain is not the beginning");
  const ImageInfo info = read_image_info(plain);
  require(info.format == ImageFormat::jpeg && info.width > 0 && info.height > 0, "a plain JPEG has no size");
  if (int64_t{info.width} * info.height > max_pixels) return 0;
  PixelBuffer image;
  try {
    decoder.decode(plain, image);
  } catch (const TruncatedError&) {
    require(false, "a plain JPEG is cut off");
  } catch (const Error&) {  // wrong codes
  }
  return 0;
}
