// Segmentation by nearest patches on sets small enough to be worked out by hand.
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>

#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/metric/patches.h"
#include "nodes/lib/tensor/metric/segment_knn.h"
#include "support/torch_reference.h"

namespace flowrun::eval {
namespace {

Tensor u8(const std::vector<int>& values, at::IntArrayRef shape) { return at::tensor(values, at::kByte).view(shape); }
Tensor floats(const std::vector<float>& values, at::IntArrayRef shape) { return at::tensor(values, at::kFloat).view(shape); }

TEST(Segment, MapsAreCutRowByRow) {
  // Two by two patches of two by three pixels.
  const Tensor map = at::arange(24).to(at::kByte).view({1, 4, 6});
  const Tensor cut = cut_maps(map, 2);
  EXPECT_TRUE(cut.equal(u8({0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11, 12, 13, 14, 18, 19, 20, 15, 16, 17, 21, 22, 23}, {4, 6})));
  EXPECT_THROW(cut_maps(map, 4), std::invalid_argument);
}

TEST(Segment, OfEquallyFrequentLabelsTheSmallestIsTheMode) {
  const Tensor rows = u8({3, 3, 1, 1, 255, 255, 255, 0, 9, 9, 9, 0}, {3, 4});
  EXPECT_TRUE(modes(rows).equal(at::tensor({1, 255, 9}, at::kLong)));
}

TEST(Segment, VotesOfPixels) {
  // Three neighbours with four pixels each.
  const Tensor labels = u8({2, 1, 255, 255,  //
                            2, 0, 1, 255,    //
                            0, 2, 255, 255},
                           {3, 4});
  const Tensor modal = at::tensor({2, 0, 2}, at::kLong), all = at::tensor({0, 1, 2}, at::kLong).view({1, 3});
  // 2 by two to one; a tie of three, the smallest wins; one vote beside two that don't count; no vote: modal 2.
  EXPECT_TRUE(vote(labels, modal, all, 3).equal(at::tensor({2, 0, 1, 2}, at::kLong).view({1, 4})));
}

TEST(Segment, NearestByBothMetrics) {
  const Tensor keys = floats({1, 0, 10, 1, 0, 2, -1, 0}, {4, 2}), query = floats({2, 0}, {1, 2});
  EXPECT_TRUE(nearest(keys, query, 3, Metric::l2).equal(at::tensor({0, 2, 3}, at::kLong).view({1, 3})));
  EXPECT_TRUE(nearest(keys, query, 3, Metric::cosine).equal(at::tensor({0, 1, 2}, at::kLong).view({1, 3})));
  EXPECT_THROW(nearest(keys, query, 5, Metric::l2), std::invalid_argument);
}

TEST(Segment, ChunksOfKeysFindTheSame) {
  Tensor keys = at::zeros({500, 6}), queries = at::zeros({40, 6});
  Rng rng(1, 1, 0, 0);
  for (Tensor* t : {&keys, &queries}) {
    for (int64_t i = 0; i < t->numel(); ++i) t->mutable_data_ptr<float>()[i] = static_cast<float>(rng.normal());
  }
  for (const Metric metric : {Metric::cosine, Metric::l2}) {
    const Tensor whole = nearest(keys, queries, 30, metric);
    for (const int64_t chunk : {499, 77, 7}) EXPECT_TRUE(nearest(keys, queries, 30, metric, chunk).equal(whole)) << chunk;
    // Brute force in float64.
    for (int64_t q = 0; q < 40; q += 13) {
      const Tensor k = keys.to(at::kDouble), one = queries[q].to(at::kDouble);
      const Tensor distance = metric == Metric::l2 ? k.sub(one).square().sum(1) : k.mul(one).sum(1).div(k.square().sum(1).sqrt()).neg();
      EXPECT_TRUE(std::get<1>(distance.sort()).narrow(0, 0, 30).equal(whole[q]));
    }
  }
}

TEST(Segment, AKnownAnswerWithTiesAndIgnoredLabels) {
  // Images of one patch with two pixels, on a line. The third train patch is mostly unlabelled: it must not vote,
  // though it is nearest to the first test patch.
  const Patches train{floats({0, 2, 1, 10, 12}, {5, 1}), u8({1, 1, 0, 255, 255, 255, 2, 2, 2, 0}, {5, 2}), 1};
  const Patches test{floats({0.9F, 11.4F}, {2, 1}), u8({0, 1, 255, 2}, {2, 2}), 1};
  const Patches kept = train.labelled();
  ASSERT_EQ(kept.images(), 4);  // 0, 255 is labelled: of equals the smaller
  const auto counts = knn_confusions(kept, test, {1, 2}, Metric::l2, 3);
  // k = 1: the first test patch takes 1, 1 (distance 0.9 against 1.1), truth 0, 1. The second takes 2, 0; its first pixel
  // doesn't count, the second is 2 but called 0.
  EXPECT_TRUE(counts[0].equal(at::tensor({0, 1, 0, 0, 1, 0, 1, 0, 0}, at::kLong).view({3, 3})));
  // k = 2: {1, 0} is a tie, so 0; the other pixel has one vote, for 1. {2, 2}; {0, 2} is a tie, so 0.
  EXPECT_TRUE(counts[1].equal(at::tensor({1, 0, 0, 0, 1, 0, 1, 0, 0}, at::kLong).view({3, 3})));
  const SegmentScores scores = segment_scores(counts[1]);
  EXPECT_NEAR(scores.miou, (0.5 + 1 + 0) / 3, 1e-12);
  EXPECT_NEAR(scores.pixel_accuracy, 2.0 / 3, 1e-12);
}

TEST(Segment, ImagesKeepTheirPatchesTogether) {
  const Patches all{at::arange(12).to(at::kFloat).view({6, 2}), at::arange(6).to(at::kByte).view({6, 1}), 2};
  EXPECT_EQ(all.images(), 3);
  const Patches some = all.of_images(at::tensor({0, 2}, at::kLong));
  EXPECT_TRUE(some.pixels_NF.equal(u8({0, 1, 4, 5}, {4, 1})));
  EXPECT_TRUE(some.features_ND[2].equal(floats({8, 9}, {2})));
}

}  // namespace
}  // namespace flowrun::eval
