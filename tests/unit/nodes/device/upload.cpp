#include <ATen/core/grad_mode.h>
#include <ATen/ops/std_mean.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/types/device_matches.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/texts.h"
#include "support/run_node.h"

namespace flowrun {
namespace {

TEST(Upload, NormalisesEachImageByItself) {
  ImageBatch batch;
  io::PixelBuffer pixels;
  pixels.reshape(6, 6, 3, 2);
  uint32_t state = 7;
  for (int view = 0; view < 2; ++view) {
    for (int i = 0; i < 108; ++i) pixels.at(view)[i] = static_cast<uint8_t>(((state = state * 1664525 + 1013904223) >> 24) / (view + 1));
  }
  std::copy_n(pixels.pixels.data(), 216, batch.place(0, 2, pixels.view(), 2));
  std::fill_n(batch.place(1, 2, pixels.view(), 2), 216, uint8_t{77});
  batch.images = 4;
  const auto node = test::make_node("device.upload", R"({"per_image": true})");
  const RunInfo run;
  const std::string name = "upload";
  node->open({run, name, 0});
  DeviceImages out;
  DeviceLabels labels;
  DeviceMasks masks;
  DeviceLabelMaps maps;
  DeviceMatches matches;
  DeviceTexts texts;
  TextBatch rows;
  for (int64_t row : {1, 0}) rows.put(row, 3, {.ids = {256, 'a' + row, 257, 0}, .end = 2});  // room for three
  rows.texts = 2;
  void* objects[] = {&batch, &rows, &out, &labels, &masks, &maps, &matches, &texts};
  const PortSlot slots[] = {{0, false}, {-1, false}, {-1, false}, {-1, false}, {-1, false}, {1, false},
                            {2, false}, {3, false},  {4, false},  {5, false},  {6, false},  {7, false}};
  uint64_t ledger = 0;
  node->run(Call{objects, nullptr, slots}, GroupContext{run, 0, 1, 0, 0, 1, 2, 1, LedgerEntry(&ledger)});
  ASSERT_EQ(out.images_BCHW.sizes(), (std::vector<int64_t>{4, 3, 6, 6}));
  EXPECT_EQ(out.views, 2);
  EXPECT_TRUE(texts.ids_BT.equal(at::tensor({256, 'a', 257, 0, 256, 'b', 257, 0}, at::kLong).view({2, 4})))
      << "the place that no picture took is left out";
  EXPECT_TRUE(texts.end_B.equal(at::tensor({2, 2}, at::kLong)));
  EXPECT_EQ(texts.most, 257);
  EXPECT_TRUE(out.mean.empty() && out.std.empty());
  for (int image = 0; image < 2; ++image) {
    const auto [deviation, mean] = at::std_mean(out.images_BCHW.select(0, image), /*unbiased=*/false);
    EXPECT_NEAR(mean.item<double>(), 0, 1e-5);
    EXPECT_NEAR(deviation.item<double>(), 1, 1e-5);
  }
  EXPECT_LT(out.images_BCHW.narrow(0, 2, 2).abs().max().item<double>(), 0.1) << "one colour has no contrast";
  EXPECT_GT(out.images_BCHW[0][0].sub(out.images_BCHW[0][2]).abs().max().item<double>(), 0.1) << "the mean is over all channels";
}

}  // namespace
}  // namespace flowrun
