#include "nodes/lib/tensor/target/lab.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <array>
#include <cmath>
#include <gtest/gtest.h>
#include <vector>

#include "nodes/lib/tensor/model/counts.h"

namespace flowrun::target {
namespace {

struct Known {
  std::array<double, 3> rgb, lab;
};

// scikit-image 0.26, rgb2lab.
const std::vector<Known> kKnown = {
    {{1.0, 1.0, 1.0}, {100.000000, -0.002455, 0.004653}},   {{0.0, 0.0, 0.0}, {0.000000, 0.000000, 0.000000}},
    {{1.0, 0.0, 0.0}, {53.240588, 80.092308, 67.202751}},   {{0.0, 1.0, 0.0}, {87.735099, -86.183030, 83.179703}},
    {{0.0, 0.0, 1.0}, {32.295673, 79.185591, -107.857300}}, {{0.5, 0.5, 0.5}, {53.388965, -0.001468, 0.002784}},
    {{0.2, 0.4, 0.6}, {42.008001, -0.154041, -32.842897}},  {{0.01, 0.02, 0.03}, {1.300054, -0.312350, -1.199765}},
    {{0.9, 0.1, 0.5}, {50.695958, 76.601505, -2.331794}},
};

TEST(Lab, IsThatOfScikitImage) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    for (const Known& known : kKnown) {
      const Tensor rgb = at::tensor(std::vector<double>(known.rgb.begin(), known.rgb.end()), at::kDouble).view({1, 3, 1, 1}).to(type);
      const Tensor found = lab(rgb).to(at::kDouble).flatten();
      for (int c = 0; c < 3; ++c) EXPECT_NEAR(found[c].item<double>(), known.lab[static_cast<size_t>(c)], 1e-3);
    }
  }
}

TEST(ColourBins, AreThoseOfSrgb) {
  // Counted over all 16,777,216 colours with scikit-image.
  for (const auto& [bin, count] : {std::pair(10, 261), {20, 77}, {30, 40}, {40, 23}}) EXPECT_EQ(colour_bins(bin, Gamut::srgb).size(0), count) << bin;
  const Tensor bins = colour_bins(10, Gamut::srgb);
  EXPECT_EQ(bins.abs().amax(1).eq(0).sum().item<int64_t>(), 1) << "gray has a bin";
  EXPECT_EQ(bins.div(10).sub(bins.div(10).round()).abs().max().item<double>(), 0);
}

TEST(ColourBins, NearTheHullAreThePublished) {
  // pts_in_hull.npy of richzhang/colorization, as samples/dnn/colorization.cpp of OpenCV prints it: for each a the b from .. to.
  const std::vector<std::array<int, 3>> published = {{-90, 50, 90},   {-80, 20, 90},   {-70, 0, 90},    {-60, -20, 90},  {-50, -30, 100},
                                                     {-40, -40, 100}, {-30, -50, 100}, {-20, -50, 100}, {-10, -60, 100}, {0, -70, 100},
                                                     {10, -80, 90},   {20, -80, 90},   {30, -90, 90},   {40, -100, 90},  {50, -100, 80},
                                                     {60, -110, 80},  {70, -110, 80},  {80, -110, 70},  {90, -110, 70},  {100, -90, 0}};
  std::vector<float> expected;
  for (const auto& [a, from, to] : published) {
    for (int b = from; b <= to; b += 10) expected.push_back(static_cast<float>(a)), expected.push_back(static_cast<float>(b));
  }
  ASSERT_EQ(expected.size(), 2 * 313);
  EXPECT_TRUE(colour_bins(10, Gamut::hull).equal(at::tensor(expected, at::kFloat).view({313, 2})));
}

TEST(ColourBins, NearTheHullHoldThoseOfSrgb) {
  for (const double bin : {7.0, 20.0, 60.0}) {
    const Tensor all = colour_bins(bin, Gamut::hull), inside = colour_bins(bin, Gamut::srgb);
    const Tensor apart = all.unsqueeze(1).sub(inside.unsqueeze(0)).abs().amax(2);
    EXPECT_EQ(std::get<0>(apart.min(0)).max().item<double>(), 0) << bin;
    EXPECT_LE(std::get<0>(apart.min(1)).max().item<double>(), 1.001 * bin) << bin;
    EXPECT_GT(all.size(0), inside.size(0)) << bin;
  }
}

TEST(SoftBins, AreTheNearestByDistance) {
  const Tensor bins = at::tensor({0, 0, 10, 0, 0, 10, 50, 50}, at::kFloat).view({4, 2});
  const Tensor found = soft_bins(at::tensor({0, 0, 1000, 1000}, at::kFloat).view({2, 2}), bins, 3, 5);
  const double far = std::exp(-100 / 50.0), all = 1 + 2 * far;
  EXPECT_NEAR(found[0][0].item<double>(), 1 / all, 1e-6);
  EXPECT_NEAR(found[0][1].item<double>(), far / all, 1e-6);
  EXPECT_NEAR(found[0][2].item<double>(), far / all, 1e-6);
  EXPECT_EQ(found[0][3].item<double>(), 0);
  EXPECT_NEAR(found[1][3].item<double>(), 1, 1e-6) << "a colour far from all bins";
  EXPECT_NEAR(found[1].sum().item<double>(), 1, 1e-6);
}

TEST(Rebalanced, HasAMeanOfOneAndFavoursTheRare) {
  const Tensor share = at::tensor({0.7, 0.2, 0.1, 0.0}, at::kFloat), weight = rebalanced(share, 0.5);
  EXPECT_NEAR(weight.mul(share).sum().item<double>(), 1, 1e-6);
  EXPECT_NEAR(weight[3].div(weight[0]).item<double>(), (0.35 + 0.125) / 0.125, 1e-5);
  EXPECT_NEAR(rebalanced(share, 1).sub(1).abs().max().item<double>(), 0, 1e-6);
}

TEST(Counts, MoveTowardsWhatIsMet) {
  model::Counts counts(4);
  EXPECT_EQ(counts.shares_K().sub(0.25).abs().max().item<double>(), 0);
  const Tensor met = at::tensor({3, 0, 1, 0}, at::kDouble);
  for (int step = 0; step < 3; ++step) counts.move(met, 0.9);
  EXPECT_NEAR(counts.shares_K()[0].item<double>(), 0.729 * 0.25 + 0.271 * 0.75, 1e-6);
  EXPECT_NEAR(counts.shares_K().sum().item<double>(), 1, 1e-6);
  const Tensor before = counts.shares_K().clone();
  counts.move(met.mul(0), 0.9);
  EXPECT_TRUE(counts.shares_K().equal(before)) << "a step without colours changes nothing";
  EXPECT_THROW(model::Counts(0), std::invalid_argument);
}

}  // namespace
}  // namespace flowrun::target
