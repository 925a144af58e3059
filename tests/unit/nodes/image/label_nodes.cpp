// Nodes of label maps.
#include <gmock/gmock.h>

#include "io/codec/png.h"
#include "io/error.h"
#include "nodes/lib/host/image/colour_table.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "support/io_python.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

using test::make_node;
using test::run_sample;
using testing::HasSubstr;

LabelMap map_of(int height, int width, const std::function<int(int y, int x)>& value) {
  LabelMap map;
  map.pixels.reshape(height, width, 1);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) map.pixels.pixels[static_cast<size_t>(y * width + x)] = static_cast<uint8_t>(value(y, x));
  }
  return map;
}

template <class Body>
std::string message_of(const Body& body) {
  try {
    body();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(LabelResize, EqualsPillowNearest) {
  io::test::require_python("PIL.Image");
  if (IsSkipped()) return;
  const io::test::TemporaryDirectory dir;
  for (const auto& [height, width, size] :
       {std::tuple(360, 480, 224), std::tuple(17, 33, 24), std::tuple(100, 224, 224), std::tuple(3, 5, 64), std::tuple(333, 1000, 7)}) {
    LabelMap in = map_of(height, width, [](int y, int x) { return (y * 31 + x * 7) % 253; }), out;
    run_sample(*make_node("image.label_resize", "{\"size\": " + std::to_string(size) + "}"), {&in, nullptr, &out});
    io::write_png(dir / "in.png", in.pixels.view());
    io::test::run_python(dir.path(), "from PIL import Image\nn = " + std::to_string(size) +
                                         "\nopen('raw', 'wb').write(Image.open('in.png').resize((n, n), Image.NEAREST).tobytes())");
    EXPECT_TRUE(io::test::get_file(dir / "raw") == std::string(out.pixels.pixels.begin(), out.pixels.pixels.end()))
        << height << "x" << width << " to " << size;
  }
}

TEST(LabelResize, ARegionIsCutFirst) {
  LabelMap whole = map_of(40, 60, [](int y, int x) { return (y * 5 + x) % 256; }), out, from_part;
  LabelMap part = map_of(16, 20, [](int y, int x) { return ((y + 11) * 5 + x + 7) % 256; });
  Region region{{7, 11, 20, 16}}, outside{{50, 30, 20, 10}};
  const auto node = make_node("image.label_resize", R"({"size": 9})");
  run_sample(*node, {&whole, &region, &out});
  run_sample(*node, {&part, nullptr, &from_part});
  EXPECT_EQ(out.pixels.pixels, from_part.pixels.pixels);
  EXPECT_THAT(message_of([&] { run_sample(*node, {&whole, &outside, &out}); }), HasSubstr("not inside the label map of 60x40"));
}

TEST(RandomFlip, MirrorsImageAndLabelMapTogether) {
  const auto node = make_node("image.random_flip");
  Image image, image_out;
  image.pixels.reshape(3, 5, 3);
  for (size_t i = 0; i < image.pixels.pixels.size(); ++i) image.pixels.pixels[i] = static_cast<uint8_t>(i / 3 % 5);
  LabelMap map = map_of(3, 5, [](int, int x) { return x; }), map_out;
  Mirrored mirrored;
  int flips = 0;
  for (uint64_t sample = 0; sample < 50; ++sample) {
    run_sample(*node, {&image, &map, &image_out, &map_out, &mirrored}, sample);
    EXPECT_EQ(image_out.pixels.pixels[0], map_out.pixels.pixels[0]);
    flips += map_out.pixels.pixels[0] == 4;
  }
  EXPECT_GT(flips, 10);
  EXPECT_LT(flips, 40);
}

TEST(RandomVerticalFlip, TurnsImageAndLabelMapTogether) {
  const auto node = make_node("image.random_vertical_flip");
  Image image, image_out;
  image.pixels.reshape(5, 2, 3);
  for (size_t i = 0; i < image.pixels.pixels.size(); ++i) image.pixels.pixels[i] = static_cast<uint8_t>(i);
  LabelMap map = map_of(5, 2, [](int y, int x) { return 2 * y + x; }), map_out;
  int turns = 0;
  for (uint64_t sample = 0; sample < 50; ++sample) {
    const uint64_t ledger = run_sample(*node, {&image, &map, &image_out, &map_out}, sample);
    const bool turned = ledger == 1;
    turns += turned;
    for (int y = 0; y < 5; ++y) {
      const int from = turned ? 4 - y : y;
      for (int x = 0; x < 2; ++x) EXPECT_EQ(map_out.pixels.pixels[static_cast<size_t>(2 * y + x)], 2 * from + x);
      for (int i = 0; i < 6; ++i) EXPECT_EQ(image_out.pixels.pixels[static_cast<size_t>(6 * y + i)], 6 * from + i);
    }
  }
  EXPECT_GT(turns, 10);
  EXPECT_LT(turns, 40);
}

TEST(PngLabels, ColoursBecomeClassesByATable) {
  const io::test::TemporaryDirectory dir;
  const auto table = dir / "colours.txt";
  io::test::put_file(table, "# class red green blue name\n0 0 0 0 sky\n7 128 64 0 road\r\n255 1 2 3\n");
  const uint8_t colours[] = {128, 64, 0, 0, 0, 0, 1, 2, 3, 128, 64, 0};
  Bytes png{io::encode_png({colours, 2, 2, 3})};
  LabelMap out;
  const auto node = make_node("image.png_labels", "{\"colors\": \"" + table.string() + "\", \"ignore\": [0]}");
  node->open({RunInfo{}, "labels", 0});
  run_sample(*node, {&png, &out});
  EXPECT_EQ(out.pixels.pixels, (std::vector<uint8_t>{7, 255, 255, 7}));

  const auto fault = [&](const std::string& text) {
    io::test::put_file(table, text);
    return message_of([&] { image::ColourTable::read(table); });
  };
  EXPECT_THAT(fault("0 1 2 3\n1 2 3\n"), HasSubstr("colours.txt:2: a colour table has"));
  EXPECT_THAT(fault("0 1 2 300\n"), HasSubstr("colours.txt:1:"));
  EXPECT_THAT(fault("0 1 2 3\n1 1 2 3\n"), HasSubstr("colours.txt:2: the colour 1 2 3 is there twice"));
  EXPECT_THAT(fault("# nothing\n"), HasSubstr("has no colours"));
  io::test::put_file(table, "0 0 0 0\n7 128 64 0\n");
  node->open({RunInfo{}, "labels", 0});
  EXPECT_THAT(message_of([&] { run_sample(*node, {&png, &out}); }), HasSubstr("the colour 1 2 3 at x 0, y 1"));
  const auto plain = make_node("image.png_labels");
  plain->open({RunInfo{}, "labels", 0});
  EXPECT_THAT(message_of([&] { run_sample(*plain, {&png, &out}); }), HasSubstr("the label map is RGB"));
}

}  // namespace
}  // namespace flowrun
