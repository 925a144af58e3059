#include "io/codec/png.h"

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

// Files written by Pillow, and an interlaced file made by hand; NAME.raw holds the values of the label map.
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

// Small faults behind the pixels or in checksums, and Pillow's verdict: NAME.rgb, or nothing. Only ancillary chunks with wrong
// checksums before the pixels are read here and refused there.
constexpr const char* kFaultyFiles = R"(
import io, random, struct, zlib
from PIL import Image
random.seed(1)
def chunk(kind, body): return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
def spoilt(data, at): return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]
def put(name, data):
    open(name + '.png', 'wb').write(data)
    try: pixels = Image.open(io.BytesIO(data)).convert('RGB').tobytes()
    except Exception: return
    open(name + '.rgb', 'wb').write(pixels)
image = Image.frombytes('RGB', (20, 15), bytes(random.randrange(256) for _ in range(900)))
out = io.BytesIO()
image.save(out, 'PNG')
whole = out.getvalue()
idat = whole.index(b'IDAT') - 4
size = struct.unpack('>I', whole[idat:idat + 4])[0]
pixels_end = idat + 8 + size
for end in range(len(whole) - 60, len(whole) + 1): put(f'cut{end:04}', whole[:end])
put('sum-of-idat', spoilt(whole, pixels_end))
put('sum-of-data', spoilt(whole, pixels_end - 1))
put('sum-of-end', spoilt(whole, len(whole) - 1))
put('sum-of-header', spoilt(whole, 8 + 8 + 13))
put('data', spoilt(whole, idat + 8 + size // 2))
put('trailing', whole + b'junk')
put('trailing-chunks', whole + chunk(b'tEXt', b'a\0b') + b'123')
put('no-end-but-junk', whole[:-12] + b'j')
put('no-end-but-other-bytes', whole[:-12] + bytes(100))
text = chunk(b'tEXt', b'a\0b')
put('text-before', whole[:idat] + text + whole[idat:])
put('text-behind', whole[:-12] + text + whole[-12:])
put('text-behind-sum', whole[:-12] + spoilt(text, len(text) - 1) + whole[-12:])
for end in range(len(text) + 1): put(f'text-behind-cut{end:02}', whole[:-12] + text[:end])
put('unknown-behind', whole[:-12] + chunk(b'ZZZZ', b'abc') + whole[-12:])
put('long-idat', whole[:idat] + struct.pack('>I', size + 100) + whole[idat + 4:])
half = size // 2
parts = whole[:idat] + chunk(b'IDAT', whole[idat + 8:idat + 8 + half]), chunk(b'IDAT', whole[idat + 8 + half:pixels_end]) + whole[-12:]
put('two-parts', b''.join(parts))
put('two-parts-first-sum', spoilt(parts[0], len(parts[0]) - 1) + parts[1])
open('sum-of-text', 'wb').write(whole[:idat] + spoilt(text, len(text) - 1) + whole[idat:])
open('all', 'wb').write(image.tobytes())
)";

TEST(Png, SmallFaultsAreReadOrRefusedAsByPillow) {
  test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const test::TemporaryDirectory dir;
  test::run_python(dir.path(), kFaultyFiles);
  PixelBuffer scratch, out, labels;
  int read = 0, refused = 0;
  for (const std::string& name : test::names_in(dir.path())) {
    if (!name.ends_with(".png")) continue;
    SCOPED_TRACE(name);
    const std::vector<uint8_t> bytes = test::load(dir / name);
    const auto raw = dir / (name.substr(0, name.size() - 4) + ".rgb");
    if (std::filesystem::exists(raw)) {
      ++read;
      EXPECT_FALSE(decode_png(bytes, {}, scratch, out).truncated);
      EXPECT_TRUE(std::string(out.pixels.begin(), out.pixels.end()) == test::get_file(raw));
      const Rect region{3, 4, 15, 9};
      decode_png(bytes, {.region = &region}, scratch, labels);
      EXPECT_TRUE(labels.pixels == test::crop(out, region).pixels);
      decode_png_labels(bytes, labels);
      EXPECT_TRUE(labels.pixels == out.pixels);
    } else {
      ++refused;
      EXPECT_THROW(decode_png(bytes, {}, scratch, out), Error);
      EXPECT_THROW(decode_png_labels(bytes, out), Error);
    }
  }
  EXPECT_GT(read, 25);
  EXPECT_GT(refused, 40);
  decode_png(test::load(dir / "sum-of-text"), {}, scratch, out);
  EXPECT_TRUE(std::string(out.pixels.begin(), out.pixels.end()) == test::get_file(dir / "all"));
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
  EXPECT_THAT(fault(bytes.first(bytes.size() - 40)), testing::HasSubstr("ends too early"));
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
