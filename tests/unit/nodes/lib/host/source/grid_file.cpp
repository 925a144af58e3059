#include "nodes/lib/host/source/grid_file.h"

#include <gmock/gmock.h>
#include <limits>

#include "io/error.h"
#include "io/run/safetensors.h"
#include "support/io_files.h"

namespace flowrun::source {
namespace {

class GridFile : public testing::Test {
 protected:
  template <class T>
  void write(const std::string& dtype, const std::vector<T>& values, std::vector<int64_t> shape = {2, 2, 1}, const std::vector<uint8_t>& valid = {}) {
    std::vector<io::TensorEntry> entries = {{"features", dtype, std::move(shape), std::as_bytes(std::span(values))}};
    if (!valid.empty()) entries.push_back({"valid", "U8", {2, static_cast<int64_t>(valid.size() / 2)}, std::as_bytes(std::span(valid))});
    io::write_safetensors(file_, entries);
  }
  std::string error() {
    try {
      read_grid(file_, grid_);
    } catch (const io::Error& error) {
      return error.what();
    }
    return "";
  }
  io::test::TemporaryDirectory dir_;
  std::filesystem::path file_ = dir_ / "a.safetensors";
  FeatureGrid grid_;
};

TEST_F(GridFile, ReadsThreeTypes) {
  write<float>("F32", {1, -2, 0.5, 4});
  EXPECT_EQ(error(), "");
  EXPECT_THAT(grid_.values, testing::ElementsAre(1, -2, 0.5, 4));
  EXPECT_THAT(grid_.valid, testing::ElementsAre(1, 1, 1, 1));
  write<uint16_t>("F16", {0x3c00, 0xc000, 0x3800, 0x4400});
  EXPECT_EQ(error(), "");
  EXPECT_THAT(grid_.values, testing::ElementsAre(1, -2, 0.5, 4));
  write<uint16_t>("F16", {0x0001, 0x83ff, 0x7bff, 0x3555});  // the smallest, the largest subnormal, the largest, a third
  EXPECT_EQ(error(), "");
  EXPECT_THAT(grid_.values, testing::ElementsAre(0x1p-24f, -1023 * 0x1p-24f, 65504.0f, 1365 * 0x1p-12f));
  write<uint16_t>("F16", {0x7c00, 0, 0, 0});
  EXPECT_THAT(error(), testing::HasSubstr("are not finite"));
  write<uint16_t>("BF16", {0x3f80, 0xc000, 0x3f00, 0x4080});
  EXPECT_EQ(error(), "");
  EXPECT_THAT(grid_.values, testing::ElementsAre(1, -2, 0.5, 4));
}

TEST_F(GridFile, CellsThatAreNotValidBecomeZeros) {
  write<float>("F32", {1, std::numeric_limits<float>::quiet_NaN(), 3, 4}, {2, 2, 1}, {1, 0, 7, 0});
  EXPECT_EQ(error(), "");
  EXPECT_THAT(grid_.values, testing::ElementsAre(1, 0, 3, 0));
  EXPECT_THAT(grid_.valid, testing::ElementsAre(1, 0, 1, 0));
}

TEST_F(GridFile, SaysWhatIsWrong) {
  write<float>("F32", {1, 2, 3, std::numeric_limits<float>::infinity()});
  EXPECT_THAT(error(), testing::HasSubstr("features of the cell in row 1, column 1 are not finite"));
  write<float>("F32", {1, 2, 3, 4}, {4, 1});
  EXPECT_THAT(error(), testing::HasSubstr("features must be F32, F16 or BF16 [H, W, C], and are F32 [4, 1]"));
  write<int32_t>("I32", {1, 2, 3, 4});
  EXPECT_THAT(error(), testing::HasSubstr("and are I32 [2, 2, 1]"));
  write<float>("F32", {1, 2, 3, 4}, {2, 2, 1}, {1, 1, 1, 1, 1, 1});
  EXPECT_THAT(error(), testing::HasSubstr("valid must be BOOL or U8 [2, 2], as features are, and is U8 [2, 3]"));
  io::write_safetensors(file_, {});
  EXPECT_THAT(error(), testing::HasSubstr("features"));
}

}  // namespace
}  // namespace flowrun::source
