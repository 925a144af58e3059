#include "io/png.h"

#include <gmock/gmock.h>

#include "io/error.h"
#include "support/io_images.h"
#include "support/io_python.h"

namespace flowrun::io {
namespace {

using test::make_image;
using test::message_of;

TEST(Png, PillowReadsTheSamePixels) {
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  for (const int channels : {1, 3, 4}) {
    for (const auto& [height, width] : {std::pair(1, 1), std::pair(37, 53), std::pair(224, 224)}) {
      const PixelBuffer image = make_image(height, width, channels, 1);
      write_png(dir / "image.png", image.view());
      test::run_python(dir.path(), "from PIL import Image\nopen('raw', 'wb').write(Image.open('image.png').tobytes())");
      EXPECT_TRUE(test::get_file(dir / "raw") == std::string(image.pixels.begin(), image.pixels.end())) << height << "x" << width << "x" << channels;
    }
  }
}

// What Pillow writes, and an interlaced file made by hand; NAME.raw holds the values as a label map has them.
constexpr const char* kLabelFiles = R"(
import random, struct, zlib
from PIL import Image
random.seed(1)
W, H = 37, 29
def values(n): return bytes(random.randrange(n) for _ in range(W * H))
def put(name, image, raw, **options):
    image.save(name + '.png', **options)
    open(name + '.raw', 'wb').write(raw)
gray = values(256)
put('gray', Image.frombytes('L', (W, H), gray), gray)
ones = values(2)
put('gray1', Image.frombytes('L', (W, H), bytes(255 * v for v in ones)).convert('1'), ones)
for bits in (1, 2, 4, 8):
    index = values(1 << bits)
    image = Image.frombytes('P', (W, H), index)
    image.putpalette(bytes(random.randrange(256) for _ in range(3 << bits)))
    put(f'palette{bits}', image, index, bits=bits)
rgb = bytes(random.randrange(256) for _ in range(W * H * 3))
put('rgb', Image.frombytes('RGB', (W, H), rgb), rgb)
alpha = values(256)
rgba = b''.join(rgb[3 * i:3 * i + 3] + alpha[i:i + 1] for i in range(W * H))
put('rgba', Image.frombytes('RGBA', (W, H), rgba), rgb)
put('graya', Image.frombytes('LA', (W, H), b''.join(gray[i:i + 1] + alpha[i:i + 1] for i in range(W * H))), gray)
data = b''
for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
    data += b''.join(b'\0' + bytes(gray[y * W + x] for x in range(x0, W, dx)) for y in range(y0, H, dy))
chunk = lambda kind, body: struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
head = struct.pack('>IIBBBBB', W, H, 8, 0, 0, 0, 1)
open('interlaced.png', 'wb').write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b''))
open('interlaced.raw', 'wb').write(gray)
Image.new('I;16', (3, 2)).save('deep.png')
)";

std::span<const uint8_t> bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

TEST(PngLabels, AreTheValuesInTheFile) {
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  test::run_python(dir.path(), kLabelFiles);
  for (const char* name : {"gray", "gray1", "palette1", "palette2", "palette4", "palette8", "rgb", "rgba", "graya", "interlaced"}) {
    PixelBuffer out;
    decode_png_labels(bytes_of(test::get_file(dir / (std::string(name) + ".png"))), out);
    EXPECT_EQ(std::pair(out.width, out.height), std::pair(37, 29)) << name;
    EXPECT_EQ(out.channels, std::string(name).starts_with("rgb") ? 3 : 1) << name;
    EXPECT_TRUE(std::string(out.pixels.begin(), out.pixels.end()) == test::get_file(dir / (std::string(name) + ".raw"))) << name;
  }
  PixelBuffer out;
  EXPECT_THAT(message_of<Error>([&] { decode_png_labels(bytes_of(test::get_file(dir / "deep.png")), out); }), testing::HasSubstr("16 bits"));
}

TEST(PngLabels, FaultyFilesAreErrors) {
  const std::vector<uint8_t> whole = encode_png(make_image(20, 30, 1, 1).view());
  const std::span<const uint8_t> bytes(whole);
  PixelBuffer out;
  const auto fault = [&](std::span<const uint8_t> data, int64_t most = 1000) {
    return message_of<Error>([&] { decode_png_labels(data, out, most); });
  };
  EXPECT_THAT(fault({}), testing::HasSubstr("not a PNG: empty"));
  EXPECT_THAT(fault(bytes.subspan(1)), testing::HasSubstr("not a PNG"));
  EXPECT_THAT(fault(bytes.first(bytes.size() - 20)), testing::HasSubstr("ends too early"));
  EXPECT_THAT(fault(bytes, 599), testing::HasSubstr("30x20 pixels exceeds the limit of 599 pixels"));
  std::vector<uint8_t> torn = whole;
  torn[torn.size() / 2] ^= 4;
  EXPECT_THAT(fault(torn), testing::HasSubstr("broken PNG"));
  decode_png_labels(bytes, out, 600);
}

TEST(Png, RefusesOtherShapes) {
  const PixelBuffer image = make_image(4, 4, 4, 1);
  EXPECT_THAT(message_of<Error>([&] { encode_png({image.pixels.data(), 4, 4, 2}); }), testing::HasSubstr("2 channels"));
  EXPECT_THAT(message_of<Error>([&] { encode_png({image.pixels.data(), 0, 4, 3}); }), testing::HasSubstr("empty"));
}

}  // namespace
}  // namespace flowrun::io
