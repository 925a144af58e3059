#include "nodes/lib/host/source/shapes.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <numeric>
#include <set>

#include "io/codec/jpeg.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

double brightness(const uint8_t* rgb) { return (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255; }

/// Share of the square [-1, 1] x [-1, 1] that the object covers.
double area(int64_t label) {
  int inside = 0;
  constexpr int n = 200;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) inside += shapes::covers(label, -1 + (j + 0.5) * 2 / n, -1 + (i + 0.5) * 2 / n) ? 1 : 0;
  }
  return static_cast<double>(inside) / (n * n);
}

TEST(Shapes, HaveTheAreasOfTheirParts) {
  EXPECT_NEAR(area(0), (1.6 * 0.4 + 0.4 * 1.2) / 4, 0.01) << "T: a beam, and the stem below it";
  EXPECT_NEAR(area(1), (0.4 * 1.6 + 0.9 * 0.4) / 4, 0.01) << "L: a stem, and a foot beside it";
  EXPECT_NEAR(area(6), (0.25 * 1.8 + 1.3 * 0.8) / 4, 0.01) << "flag";
  EXPECT_NEAR(area(7), (3.14159 * (0.85 * 0.85 - 2 * 0.17 * 0.17) - 0.9 * 0.2) / 4, 0.01) << "face: a disc without eyes and mouth";
}

TEST(Shapes, AreUprightAndDiffer) {
  for (int64_t label = 0; label < shapes::classes; ++label) {
    int moved = 0;
    for (int i = 0; i < 100; ++i) {
      for (int j = 0; j < 100; ++j) {
        const double u = -1 + 0.02 * (j + 0.5), v = -1 + 0.02 * (i + 0.5);
        moved += shapes::covers(label, u, v) != shapes::covers(label, -u, -v) ? 1 : 0;
      }
    }
    EXPECT_GT(moved, 400) << shapes::class_name(label) << " can be told from its half turn";
  }
  EXPECT_THROW(shapes::covers(10, 0, 0), std::out_of_range);
}

TEST(Shapes, StandOutInBrightnessWhateverTheirColour) {
  double least = 1;
  for (uint64_t picture = 0; picture < 200; ++picture) {
    std::vector<uint8_t> pixels;
    shapes::draw(static_cast<int64_t>(picture % 10), 32, Rng(1, 2, 0, picture), pixels);
    ASSERT_EQ(pixels.size(), 32u * 32u * 3u);
    // The border belongs to the background. The object covers at least 4 % of the picture, on one side of the background.
    std::vector<double> all, border;
    for (size_t i = 0; i < 32 * 32; ++i) {
      all.push_back(brightness(&pixels[3 * i]));
      if (i < 32) border.push_back(all.back());
    }
    std::sort(all.begin(), all.end());
    const double ground = std::accumulate(border.begin(), border.end(), 0.0) / static_cast<double>(border.size());
    least = std::min(least, std::max(ground - all[20], all[all.size() - 21] - ground));
  }
  EXPECT_GT(least, 0.1);
}

std::pair<std::vector<uint8_t>, int64_t> emit(const std::string& params, uint64_t sample, uint64_t run_seed = 0) {
  const auto node = test::make_node("source.synthetic", params);
  Bytes bytes;
  Label label;
  Caption caption;
  LabelMap map;
  test::run_sample(*node, {&bytes, &label, &caption, &map}, sample, run_seed);
  return {bytes.data, label.value};
}

TEST(Shapes, KnowTheClassOfEachPixel) {
  for (uint64_t sample = 0; sample < 100; ++sample) {
    std::vector<uint8_t> pixels, without;
    io::PixelBuffer map;
    const auto label = static_cast<uint8_t>(sample % 10);
    shapes::draw(label, 32, Rng(1, 2, 0, sample), pixels, 0.8, &map);
    shapes::draw(label, 32, Rng(1, 2, 0, sample), without);
    EXPECT_EQ(pixels, without) << "the map draws nothing";
    ASSERT_EQ(std::tuple(map.height, map.width, map.channels, map.pixels.size()), std::tuple(32, 32, 1, 32u * 32u));
    EXPECT_THAT(map.pixels, testing::Each(testing::AnyOf(label, shapes::background)));
    // The object is brighter than all around it, or darker.
    double object = 0, ground = 0, objects = 0;
    for (size_t i = 0; i < map.pixels.size(); ++i) {
      const bool on = map.pixels[i] == label;
      objects += on ? 1 : 0;
      (on ? object : ground) += brightness(&pixels[3 * i]);
    }
    EXPECT_GT(objects, 0.04 * 32 * 32);
    EXPECT_LT(objects, 0.7 * 32 * 32);
    EXPECT_GT(std::abs(object / objects - ground / (32 * 32 - objects)), 0.1) << shapes::class_name(label);
  }
  const auto node = test::make_node("source.synthetic", R"({"kind": "textures", "size": 16})");
  Bytes bytes;
  Label label;
  Caption caption;
  LabelMap map;
  test::run_sample(*node, {&bytes, &label, &caption, &map}, 13, 0);
  EXPECT_EQ(map.pixels.pixels, std::vector<uint8_t>(16 * 16, 3)) << "a texture fills its picture";
}

TEST(Shapes, AreColourPicturesOfASourceWithLabelsInTurn) {
  std::set<std::vector<uint8_t>> pictures;
  for (const char* split : {"train", "test"}) {
    for (uint64_t sample = 0; sample < 100; ++sample) {
      const std::string params = std::string(R"({"kind": "shapes", "size": 32, "split": ")") + split + "\"}";
      const auto [bytes, label] = emit(params, sample);
      EXPECT_EQ(label, static_cast<int64_t>(sample % 10));
      const io::ImageInfo info = io::read_image_info(bytes);
      EXPECT_EQ(std::tuple(info.width, info.height, info.channels), std::tuple(32, 32, 3));
      EXPECT_EQ(bytes, emit(params, sample, /*run_seed=*/99).first);
      pictures.insert(bytes);
    }
  }
  EXPECT_EQ(pictures.size(), 200u) << "no picture twice, and none in both splits";
}

}  // namespace
}  // namespace flowrun
