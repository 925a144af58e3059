#include "nodes/lib/tensor/report/feature_history.h"

#include <fstream>
#include <gmock/gmock.h>

#include "support/io_files.h"

namespace flowrun {
namespace {

using testing::ElementsAre;

std::vector<int64_t> steps_of(const std::vector<FeatureFile>& files) {
  std::vector<int64_t> out;
  for (const FeatureFile& file : files) out.push_back(file.step);
  return out;
}

TEST(FeatureHistory, FilesOfAPictureByStep) {
  const io::test::TemporaryDirectory run;
  const std::filesystem::path& root = run.path();
  std::filesystem::create_directories(root / "features");
  for (const char* name :
       {"step-100.safetensors", "step-20.safetensors", "step-x.safetensors", "step-3.txt", "late-step-7.safetensors", "late-step-30.safetensors"})
    std::ofstream(root / "features" / name) << "x";
  EXPECT_THAT(steps_of(feature_files(root, "features.png")), ElementsAre(20, 100));
  EXPECT_THAT(steps_of(feature_files(root, "late.png")), ElementsAre(7, 30));
  EXPECT_TRUE(feature_files(root / "nowhere", "features.png").empty());
  remove_features_after(root, 20);
  EXPECT_THAT(steps_of(feature_files(root, "features.png")), ElementsAre(20));
  EXPECT_THAT(steps_of(feature_files(root, "late.png")), ElementsAre(7));
  EXPECT_TRUE(std::filesystem::exists(root / "features" / "step-x.safetensors")) << "no file of a step";
}

TEST(FeatureHistory, SpreadKeepsTheFirstAndTheLast) {
  std::vector<FeatureFile> files;
  for (int64_t step = 0; step < 10; ++step) files.push_back({step, ""});
  EXPECT_THAT(steps_of(spread(files, 4)), ElementsAre(0, 3, 6, 9));
  EXPECT_THAT(steps_of(spread(files, 1)), ElementsAre(9));
  EXPECT_EQ(spread(files, 10).size(), 10u);
}

TEST(FeatureHistory, AFileGivesBackWhatWasWritten) {
  const io::test::TemporaryDirectory run;
  const std::filesystem::path& root = run.path();
  const FeatureStep step{.step = 3, .pictures = 1, .patches = 4, .width = 2, .values_nND = {0.5f, -1, 2, 3, 4, 5, 6, 7}};
  write_features(root, "features.png", "seen", step);
  write_features(root, "features.png", "seen", step);
  const FeatureStep back = read_features(feature_files(root, "features.png").at(0));
  EXPECT_EQ(back.values_nND, step.values_nND);
  EXPECT_EQ((std::vector{back.step, back.pictures, back.patches, back.width}), (std::vector<int64_t>{3, 1, 4, 2}));
  EXPECT_ANY_THROW(write_features(root, "features.png", "other", step));
}

TEST(FeatureHistory, AStepOfAnotherShapeIsLeftWhite) {
  const FeatureStep old{.step = 0, .pictures = 1, .patches = 1, .width = 2, .values_nND = {0, 0}};
  const FeatureStep now{.step = 1, .pictures = 1, .patches = 4, .width = 2, .values_nND = {0, 0, 1, 0, 2, 0, 3, 0}};
  const io::PixelBuffer sheet = feature_sheet({}, {old, now}, 4);
  ASSERT_EQ((std::pair{sheet.width, sheet.height}), (std::pair{6 + 2 * 10, 16}));
  const auto red = [&](int y, int x) { return sheet.pixels[static_cast<size_t>(3 * (y * sheet.width + x))]; };
  EXPECT_EQ(red(6, 6), 255);
  EXPECT_EQ(sheet.pixels[static_cast<size_t>(3 * (6 * sheet.width + 6) + 1)], 255);
  EXPECT_EQ(red(6, 16), 0) << "the least of the newest step";
  EXPECT_EQ(red(9, 19), 255);
}

}  // namespace
}  // namespace flowrun
