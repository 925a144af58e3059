#include <cmath>
#include <gmock/gmock.h>

#include "io/codec/jpeg.h"
#include "io/resize/resize.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "support/io_python.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

using test::make_node;
using test::run_sample;

/// Every pixel tells its place.
Image picture(int height, int width) {
  Image image;
  image.pixels.reshape(height, width, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* p = image.pixels.pixels.data() + (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) * 3;
      p[0] = static_cast<uint8_t>(y), p[1] = static_cast<uint8_t>(x), p[2] = static_cast<uint8_t>(y ^ x);
    }
  }
  image.covers = {{0, 0, width, height}};
  return image;
}

std::pair<int, int> place_of_first(const Image& image) { return {image.pixels.pixels[0], image.pixels.pixels[1]}; }

TEST(CenterCrop, CutsTheMiddleAsTorchvisionDoes) {
  const auto node = make_node("image.center_crop", R"({"size": 4})");
  Image out;
  for (const auto& [height, width, top, left] : {std::tuple(8, 10, 2, 3), std::tuple(4, 4, 0, 0), std::tuple(7, 9, 2, 2), std::tuple(5, 4, 0, 0)}) {
    Image in = picture(height, width);
    run_sample(*node, {&in, &out});
    EXPECT_EQ(std::pair(out.pixels.height, out.pixels.width), std::pair(4, 4));
    EXPECT_EQ(place_of_first(out), std::pair(top, left)) << height << "x" << width;  // int(round((7 - 4) / 2.0)) is 2: half to even
  }
  Image small = picture(3, 9);
  EXPECT_THROW(run_sample(*node, {&small, &out}), NodeError);
}

TEST(CenterCrop, IsTorchvisionsOnPillowImages) {
  io::test::require_python("torchvision, PIL.Image");
  if (testing::Test::IsSkipped()) return;
  const io::test::TemporaryDirectory dir;
  std::string sizes;
  for (const auto& [height, width, size] : {std::tuple(8, 10, 4), std::tuple(7, 9, 4), std::tuple(9, 7, 4), std::tuple(12, 5, 5),
                                            std::tuple(13, 30, 7), std::tuple(31, 17, 16), std::tuple(256, 341, 224), std::tuple(257, 256, 224)}) {
    Image in = picture(height, width), out;
    run_sample(*make_node("image.center_crop", "{\"size\": " + std::to_string(size) + "}"), {&in, &out});
    const std::string name = std::to_string(height) + " " + std::to_string(width) + " " + std::to_string(size);
    io::test::put_file(dir / ("in " + name), std::string(in.pixels.pixels.begin(), in.pixels.pixels.end()));
    io::test::put_file(dir / ("out " + name), std::string(out.pixels.pixels.begin(), out.pixels.pixels.end()));
    sizes += name + "\n";
  }
  io::test::put_file(dir / "list", sizes);
  io::test::run_python(dir.path(), R"(
from PIL import Image
from torchvision import transforms
for name in open('list').read().splitlines():
    height, width, size = map(int, name.split())
    image = Image.frombytes('RGB', (width, height), open('in ' + name, 'rb').read())
    assert transforms.CenterCrop(size)(image).tobytes() == open('out ' + name, 'rb').read(), name
)");
}

TEST(Resize, ShortestSideKeepsTheAspect) {
  const auto node = make_node("image.resize", R"({"size": 10, "fit": "shortest", "filter": "bilinear"})");
  Image out;
  for (const auto& [height, width, out_height, out_width] : {std::tuple(20, 37, 10, 18), std::tuple(37, 20, 18, 10), std::tuple(30, 30, 10, 10)}) {
    Image in = picture(height, width);
    run_sample(*node, {&in, nullptr, &out});
    EXPECT_EQ(std::pair(out.pixels.height, out.pixels.width), std::pair(out_height, out_width));
    std::vector<uint8_t> expected(out.pixels.pixels.size());
    io::Resizer().resize(in.pixels.view(), out_height, out_width, io::Filter::bilinear, false, expected.data());
    EXPECT_EQ(out.pixels.pixels, expected);
  }
}

TEST(Resize, ARegionOfAWholePictureIsTheSameAsTheRegionAlone) {
  const auto node = make_node("image.resize", R"({"size": 12})");
  Image whole = picture(40, 60), part, from_whole, from_part;
  Region region{{7, 11, 20, 16}};
  part.pixels.reshape(16, 20, 3);
  for (int y = 0; y < 16; ++y) {
    std::copy_n(whole.pixels.pixels.data() + ((11 + y) * 60 + 7) * 3, 60, part.pixels.pixels.data() + y * 60);
  }
  part.covers = region;
  run_sample(*node, {&whole, &region, &from_whole});
  run_sample(*node, {&part, &region, &from_part});
  EXPECT_EQ(from_whole.pixels.pixels, from_part.pixels.pixels);
  Region outside{{50, 30, 20, 20}};
  EXPECT_THROW(run_sample(*node, {&whole, &outside, &from_whole}), NodeError);
}

TEST(Resize, ARegionOfAShrunkPictureIsTheNearestPixels) {
  const auto node = make_node("image.resize", R"({"size": 12})");
  Image whole = picture(40, 60), shrunk = whole, expected, got;
  shrunk.covers = {{-2, 0, 120, 80}};  // a mirrored picture of odd width begins outside
  Region region{{7, 11, 20, 16}};
  run_sample(*node, {&whole, &region, &expected});
  for (const io::Rect& rect : {io::Rect{12, 22, 40, 32}, io::Rect{11, 21, 40, 32}}) {  // halves are rounded up
    Region twice{rect};
    run_sample(*node, {&shrunk, &twice, &got});
    EXPECT_EQ(got.pixels.pixels, expected.pixels.pixels);
    EXPECT_EQ(got.covers, twice);
  }
  Region point{{117, 79, 1, 1}};
  run_sample(*node, {&shrunk, &point, &got});
  EXPECT_EQ(place_of_first(got), std::pair(39, 59));
  Region turned{{7, 11, 20, 16}, true};
  EXPECT_THROW(run_sample(*node, {&whole, &turned, &got}), NodeError);
}

TEST(RandomCrop, TurnedPicturesHaveTheirSidesExchanged) {
  std::vector<uint8_t> gray(300 * 20, 90);
  Bytes jpeg;
  io::encode_jpeg({gray.data(), 20, 300, 1}, 50, jpeg.data);
  // EXIF, big-endian: one entry, orientation 6.
  const std::vector<uint8_t> exif = {0xff, 0xe1, 0,    34,   'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
                                     0,    1,    0x01, 0x12, 0,   3,   0,   0,   0, 1, 0,   6,   0, 0,  0, 0, 0, 0};
  jpeg.data.insert(jpeg.data.begin() + 2, exif.begin(), exif.end());
  Region region;
  for (const bool turned : {false, true}) {
    const auto node = make_node("image.random_crop",
                                std::string(R"({"area": [0.9, 1], "aspect": [0.01, 100], "orientation": ")") + (turned ? "exif" : "stored") + "\"}");
    for (uint64_t sample = 0; sample < 50; ++sample) {
      run_sample(*node, {&jpeg, nullptr, &region}, sample);
      EXPECT_EQ(region.oriented, turned);
      EXPECT_LE(region.rect.x + region.rect.width, turned ? 20 : 300);
      EXPECT_LE(region.rect.y + region.rect.height, turned ? 300 : 20);
    }
  }
}

TEST(RandomFlip, MirrorsHalfOfTheSamplesAndSaysWhich) {
  const auto node = make_node("image.random_flip");
  Image in = picture(3, 5), out;
  Mirrored mirrored;
  int flips = 0;
  for (uint64_t sample = 0; sample < 1000; ++sample) {
    const uint64_t ledger = run_sample(*node, {&in, nullptr, &out, nullptr, &mirrored}, sample);
    const bool flipped = place_of_first(out) == std::pair(0, 4);
    EXPECT_THAT(mirrored.views, testing::ElementsAre(flipped ? 1 : 0));
    EXPECT_EQ(ledger, flipped ? 1u : 2u);
    flips += flipped;
    if (flipped) {
      Image back;
      const auto always = make_node("image.random_flip", R"({"p": 1})");
      run_sample(*always, {&out, nullptr, &back, nullptr, &mirrored});
      EXPECT_EQ(back.pixels.pixels, in.pixels.pixels);
    } else {
      EXPECT_EQ(out.pixels.pixels, in.pixels.pixels);
    }
  }
  EXPECT_NEAR(flips, 500, 60);
}

TEST(RandomCrop, RegionsFollowTheLawOfRandomResizedCrop) {
  const auto node = make_node("image.random_crop", R"({"area": [0.2, 0.8], "aspect": [0.5, 2]})");
  Bytes jpeg;
  std::vector<uint8_t> gray(300 * 200, 90);
  io::encode_jpeg({gray.data(), 200, 300, 1}, 50, jpeg.data);
  double area = 0, log_aspect = 0;
  Region region;
  constexpr int count = 4000;
  for (uint64_t sample = 0; sample < count; ++sample) {
    run_sample(*node, {&jpeg, nullptr, &region}, sample);
    const io::Rect& r = region.rect;
    ASSERT_TRUE(r.x >= 0 && r.y >= 0 && r.width >= 1 && r.height >= 1 && r.x + r.width <= 300 && r.y + r.height <= 200);
    const double share = r.width * r.height / 60000.0, aspect = static_cast<double>(r.width) / r.height;
    EXPECT_THAT(share, testing::AllOf(testing::Ge(0.19), testing::Le(0.81)));
    EXPECT_THAT(aspect, testing::AllOf(testing::Ge(0.48), testing::Le(2.05)));
    area += share, log_aspect += std::log(aspect);
  }
  // Tall regions that don't fit are drawn again, so areas are a little smaller and aspects wider than the uniform laws.
  EXPECT_NEAR(area / count, 0.47, 0.03);
  EXPECT_GT(log_aspect / count, 0.02);
  // One that never fits: the largest of an allowed aspect, in the middle.
  std::vector<uint8_t> strip(400 * 20, 90);
  io::encode_jpeg({strip.data(), 20, 400, 1}, 50, jpeg.data);
  const auto whole = make_node("image.random_crop", R"({"area": [1, 1]})");
  run_sample(*whole, {&jpeg, nullptr, &region});
  EXPECT_EQ(std::tuple(region.rect.width, region.rect.height, region.rect.x, region.rect.y), std::tuple(27, 20, 186, 0));
}

}  // namespace
}  // namespace flowrun
