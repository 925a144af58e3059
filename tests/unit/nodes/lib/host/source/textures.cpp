#include "nodes/lib/host/source/textures.h"

#include <gmock/gmock.h>
#include <set>

#include "io/codec/jpeg.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

/// The output of the registered source for a sample.
std::pair<std::vector<uint8_t>, int64_t> emit(const char* split, uint64_t sample, uint64_t run_seed = 0) {
  const auto node = test::make_node("source.synthetic", std::string("{\"split\": \"") + split + "\"}");
  Bytes bytes;
  Label label;
  Caption caption;
  LabelMap map;
  test::run_sample(*node, {&bytes, &label, &caption, &map}, sample, run_seed);
  return {bytes.data, label.value};
}

TEST(Textures, ArePicturesOfTheirSizeWithLabelsInTurn) {
  for (uint64_t sample = 0; sample < 30; ++sample) {
    const auto [bytes, label] = emit("train", sample);
    EXPECT_EQ(label, static_cast<int64_t>(sample % 10));
    const io::ImageInfo info = io::read_image_info(bytes);
    EXPECT_EQ(std::tuple(info.width, info.height, info.channels), std::tuple(24, 24, 1)) << "gray: colour would be a shortcut";
  }
}

TEST(Textures, DependOnSplitAndIndexAlone) {
  EXPECT_EQ(emit("train", 5), emit("train", 5, /*run_seed=*/99));
  std::set<std::vector<uint8_t>> pictures;
  for (const char* split : {"train", "test"}) {
    for (uint64_t sample = 0; sample < 500; ++sample) pictures.insert(emit(split, sample).first);
  }
  EXPECT_EQ(pictures.size(), 1000u) << "no picture twice, and none in both splits";
}

TEST(Textures, ClassesDiffer) {
  std::set<std::vector<uint8_t>> pictures;
  for (int64_t label = 0; label < textures::classes; ++label) {
    std::vector<uint8_t> pixels;
    textures::draw(label, 24, Rng(1, 2, 3, 4), pixels);
    ASSERT_EQ(pixels.size(), 24u * 24u);
    pictures.insert(pixels);
    // Neither flat nor clipped.
    EXPECT_GT(*std::max_element(pixels.begin(), pixels.end()) - *std::min_element(pixels.begin(), pixels.end()), 40);
  }
  EXPECT_EQ(pictures.size(), 10u);
  std::vector<uint8_t> pixels;
  EXPECT_THROW(textures::draw(10, 24, Rng(1, 2, 3, 4), pixels), std::out_of_range);
}

}  // namespace
}  // namespace flowrun
