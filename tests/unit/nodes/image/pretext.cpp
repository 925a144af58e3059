// Views that are questions: turned pictures and puzzles.
#include <algorithm>
#include <gmock/gmock.h>
#include <map>

#include "nodes/lib/host/image/permutations.h"
#include "nodes/lib/host/image/quarter_turn.h"
#include "nodes/lib/host/types/host_types.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

using test::make_node;
using test::run_sample;

Image noise(int height, int width, int views = 1) {
  Image image;
  image.pixels.reshape(height, width, 3, views);
  uint32_t state = 7;
  for (uint8_t& value : image.pixels.pixels) value = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  return image;
}

std::vector<uint8_t> pixels_of(const io::ImageView& view) { return {view.pixels, view.pixels + view.bytes()}; }

TEST(QuarterTurn, IsCounterClockwiseAndFourAreNone) {
  io::PixelBuffer image;
  image.reshape(3, 3, 1, 2);
  std::copy_n(std::vector<uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}.begin(), 9, image.at(0));
  image::quarter_turn(image, 0, 1);
  EXPECT_THAT(pixels_of(image.view(1)), testing::ElementsAre(3, 6, 9, 2, 5, 8, 1, 4, 7));  // numpy.rot90
  io::PixelBuffer turned = noise(37, 37, 5).pixels;
  for (int turn = 0; turn < 4; ++turn) image::quarter_turn(turned, turn, turn + 1);
  EXPECT_EQ(pixels_of(turned.view(4)), pixels_of(turned.view(0)));
  EXPECT_NE(pixels_of(turned.view(2)), pixels_of(turned.view(0)));
}

TEST(Rotations, AreFourViewsWithTheirTurnsAsClasses) {
  const auto node = make_node("image.rotations");
  Image in = noise(20, 20), out;
  in.covers.rect = {1, 2, 3, 4};
  Label label{5, {7, 7}};
  EXPECT_EQ(run_sample(*node, {&in, &out, &label}), 0u) << "nothing is drawn";
  EXPECT_EQ(out.pixels.views, 4);
  EXPECT_EQ(out.covers, in.covers);
  EXPECT_THAT(label.views, testing::ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(pixels_of(out.pixels.view(0)), in.pixels.pixels);
  for (int y = 0; y < 20; ++y) {
    for (int x = 0; x < 20; ++x) {
      const auto at = [&](int view, int row, int column) { return out.pixels.view(view).pixels[(row * 20 + column) * 3 + 1]; };
      EXPECT_EQ(at(1, y, x), at(0, x, 19 - y));
      EXPECT_EQ(at(2, y, x), at(0, 19 - y, 19 - x));
      EXPECT_EQ(at(3, y, x), at(0, 19 - x, y));
    }
  }
}

TEST(Rotations, AreOfOneSquare) {
  const auto node = make_node("image.rotations");
  Image wide = noise(20, 24), several = noise(20, 20, 2), out;
  Label label;
  EXPECT_THROW(run_sample(*node, {&wide, &out, &label}), NodeError);
  EXPECT_THROW(run_sample(*node, {&several, &out, &label}), FatalNodeError);
}

/// Opened, as a run does it.
std::unique_ptr<Node> tiles(const std::string& params) {
  auto node = make_node("image.tiles", params);
  const RunInfo run;
  const std::string name = "tiles";
  node->open({run, name, 0});
  return node;
}

TEST(Tiles, ShowEachCellOnceInTheOrderOfTheirClass) {
  const auto node = tiles(R"({"grid": 3, "cell": 10, "tile": 7, "permutations": 30})");
  const auto orders = image::distant_orders(9, 30);
  std::map<int64_t, int> classes;
  std::map<std::pair<int, int>, int> places;  // of tiles in their cells
  for (uint64_t sample = 0; sample < 600; ++sample) {
    // A pixel tells where it lies.
    Image in, out;
    in.pixels.reshape(30, 30, 3);
    for (int y = 0; y < 30; ++y) {
      for (int x = 0; x < 30; ++x)
        in.pixels.pixels[static_cast<size_t>((y * 30 + x) * 3)] = y, in.pixels.pixels[static_cast<size_t>((y * 30 + x) * 3 + 1)] = x;
    }
    Label label{0, {1, 2}};
    run_sample(*node, {&in, &out, &label}, sample);
    ASSERT_EQ(out.pixels.views, 9);
    EXPECT_EQ(out.pixels.height, 7);
    EXPECT_TRUE(label.views.empty());
    ASSERT_LT(label.value, 30);
    ++classes[label.value];
    for (int view = 0; view < 9; ++view) {
      const uint8_t* pixels = out.pixels.view(view).pixels;
      const int top = pixels[0], left = pixels[1], cell = orders[static_cast<size_t>(label.value)][static_cast<size_t>(view)];
      EXPECT_EQ(top / 10 * 3 + left / 10, cell);
      ++places[{top % 10, left % 10}];
      for (int i = 0; i < 49; ++i) {
        EXPECT_EQ(pixels[3 * i], top + i / 7);
        EXPECT_EQ(pixels[3 * i + 1], left + i % 7);
      }
    }
  }
  EXPECT_EQ(classes.size(), 30u);
  EXPECT_EQ(places.size(), 16u) << "a tile of 7 has 4 x 4 places in a cell of 10";
  for (const auto& [place, count] : places) EXPECT_NEAR(count, 600 * 9 / 16.0, 80);
}

TEST(Tiles, SayWhatTheyDrewAndWhatDoesNotFit) {
  const auto node = tiles(R"({"grid": 2, "cell": 10, "tile": 10, "permutations": 24})");
  Image in = noise(20, 20), out, again, other = noise(21, 21);
  Label label;
  const uint64_t ledger = run_sample(*node, {&in, &out, &label}, 3);
  EXPECT_EQ(run_sample(*node, {&in, &again, &label}, 3), ledger);
  EXPECT_EQ(again.pixels.pixels, out.pixels.pixels);
  EXPECT_NE(run_sample(*node, {&in, &again, &label}, 4), ledger);
  EXPECT_THROW(run_sample(*node, {&other, &out, &label}), NodeError);
}

}  // namespace
}  // namespace flowrun
