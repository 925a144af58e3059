#include "nodes/lib/tensor/report/sheet.h"

#include <array>
#include <gmock/gmock.h>

namespace flowrun {
namespace {

using Colour = std::array<int, 3>;

/// Two images of 4x4, patches of 2: the first all (100, 150, 200), the second black.
struct SheetTest : testing::Test {
  ImageBatch images;
  Masks masks;

  void SetUp() override {
    std::vector<uint8_t> pixels(4 * 4 * 3);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(100 + 50 * (i % 3));
    std::copy(pixels.begin(), pixels.end(), images.place(0, 2, {pixels.data(), 4, 4, 3}));
    std::fill(pixels.begin(), pixels.end(), 0);
    std::copy(pixels.begin(), pixels.end(), images.place(1, 2, {pixels.data(), 4, 4, 3}));
    images.images = 2;
    masks.grid = 2, masks.images = 2, masks.visible_count = 1, masks.regions = 2, masks.region_size = 1;
    masks.visible = {0, 3};
    masks.targets = {1, 2, 0, 0};
  }

  static Colour at(const io::PixelBuffer& sheet, int y, int x) {
    const uint8_t* p = sheet.pixels.data() + (static_cast<size_t>(y) * static_cast<size_t>(sheet.width) + static_cast<size_t>(x)) * 3;
    return {p[0], p[1], p[2]};
  }
};

constexpr int gutter = 6, tile = 8;  // enlarged twice
int row(int r) { return gutter + r * (tile + gutter); }

TEST_F(SheetTest, HasARowForCropsForWhatIsSeenAndForRegions) {
  const io::PixelBuffer sheet = contact_sheet(images, &masks, 8, 8);
  ASSERT_EQ(std::pair(sheet.width, sheet.height), std::pair(row(2), row(3))) << "two images though eight are asked for";
  EXPECT_EQ(at(sheet, 0, 0), (Colour{255, 255, 255}));
  EXPECT_EQ(at(sheet, row(1) - 1, row(0)), (Colour{255, 255, 255}));
  const Colour own{100, 150, 200};
  for (const int y : {0, 7}) {
    for (const int x : {0, 7}) EXPECT_EQ(at(sheet, row(0) + y, row(0) + x), own);
  }
  // Seen: patch 0 of the first image; the rest is washed out.
  EXPECT_EQ(at(sheet, row(1), row(0)), own);
  EXPECT_EQ(at(sheet, row(1) + 3, row(0) + 3), own);
  EXPECT_EQ(at(sheet, row(1), row(0) + 4), (Colour{210, 216, 222}));
  // The second sees patch 3.
  EXPECT_EQ(at(sheet, row(1) + 4, row(1) + 4), (Colour{0, 0, 0}));
  // Regions have colours of their own, on the washed crop.
  const Colour plain = at(sheet, row(2), row(0)), first = at(sheet, row(2), row(0) + 4), second = at(sheet, row(2) + 4, row(0));
  EXPECT_EQ(plain, (Colour{170, 197, 225}));
  EXPECT_EQ(first, (Colour{203, 176, 101}));
  EXPECT_EQ(second, (Colour{124, 188, 229}));
  // Both regions of the second image lie on its patch 0: the later colour on the earlier. 45 % paper on black is 115,
  // then 55 % of (230, 159, 0), then 55 % of (86, 180, 233).
  EXPECT_EQ(at(sheet, row(2), row(1)), (Colour{127, 162, 152}));
  EXPECT_EQ(at(sheet, row(2), row(1) + 4), (Colour{115, 115, 115}));
}

TEST_F(SheetTest, TheMapIsDrawnWhereThereIsOne) {
  masks.map = {0, 1, 0, 0, 1, 1, 1, 1};
  const io::PixelBuffer sheet = contact_sheet(images, &masks, 8, 8);
  const Colour own{100, 150, 200}, washed{210, 216, 222};
  EXPECT_EQ(at(sheet, row(1), row(0)), own);
  EXPECT_EQ(at(sheet, row(1), row(0) + 4), washed) << "patch 1 is hidden";
  EXPECT_EQ(at(sheet, row(1) + 4, row(0)), own) << "patch 2 is not, though the lists are cut";
  EXPECT_EQ(at(sheet, row(2), row(0) + 4), (Colour{203, 176, 101}));
}

TEST_F(SheetTest, WithoutMasksShowsCropsAlone) {
  const io::PixelBuffer sheet = contact_sheet(images, nullptr, 1, 1);
  EXPECT_EQ(std::pair(sheet.width, sheet.height), std::pair(gutter + 4 + gutter, gutter + 4 + gutter));
  EXPECT_EQ(at(sheet, gutter, gutter), (Colour{100, 150, 200}));
}

}  // namespace
}  // namespace flowrun
