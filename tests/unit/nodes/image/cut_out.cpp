#include <gmock/gmock.h>

#include "nodes/lib/host/types/host_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

using test::make_node;
using test::run_sample;

Image gray(int height, int width) {
  Image image;
  image.pixels.reshape(height, width, 3);
  std::fill(image.pixels.pixels.begin(), image.pixels.pixels.end(), uint8_t{7});
  return image;
}

LabelMap classes(int height, int width) {
  LabelMap map;
  map.pixels.reshape(height, width, 1);
  std::fill(map.pixels.pixels.begin(), map.pixels.pixels.end(), uint8_t{3});
  return map;
}

TEST(CutOut, CoversImageAndLabelsAtTheSamePlace) {
  const auto node = make_node("image.cut_out", R"({"p": 1, "side": 0.5, "colour": [1, 2, 4]})");
  int64_t covered = 0, most = 0;
  for (uint64_t sample = 0; sample < 400; ++sample) {
    Image in = gray(20, 30), out;
    LabelMap labels = classes(20, 30), out_labels;
    EXPECT_NE(run_sample(*node, {&in, &labels, &out, &out_labels}, sample), 0u);
    int64_t here = 0;
    for (size_t i = 0; i < 600; ++i) {
      const uint8_t* rgb = out.pixels.pixels.data() + 3 * i;
      const bool cut = rgb[0] == 1 && rgb[1] == 2 && rgb[2] == 4;
      ASSERT_TRUE(cut || (rgb[0] == 7 && rgb[1] == 7 && rgb[2] == 7));
      ASSERT_EQ(out_labels.pixels.pixels[i], cut ? 255 : 3);
      here += cut;
    }
    covered += here, most = std::max(most, here);
  }
  EXPECT_EQ(most, 100) << "a square of half of the shorter side";
  // Of a side of 10, places near the borders lose 5 + 4 + 3 + 2 + 1 + 1 + 2 + 3 + 4 = 25 in all.
  EXPECT_NEAR(static_cast<double>(covered) / 400, (10 - 25 / 20.0) * (10 - 25 / 30.0), 3);
}

TEST(CutOut, LeavesTheOthersAsTheyAre) {
  Image in = gray(8, 8), out;
  EXPECT_EQ(run_sample(*make_node("image.cut_out", R"({"p": 0})"), {&in, nullptr, &out, nullptr}), 1u);
  EXPECT_TRUE(in.pixels.pixels == out.pixels.pixels);
  int changed = 0;
  for (uint64_t sample = 0; sample < 400; ++sample) {
    run_sample(*make_node("image.cut_out"), {&in, nullptr, &out, nullptr}, sample);
    changed += in.pixels.pixels != out.pixels.pixels;
  }
  EXPECT_NEAR(changed, 200, 40);
}

}  // namespace
}  // namespace flowrun
