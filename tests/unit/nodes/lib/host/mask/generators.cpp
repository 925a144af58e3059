// Acceptance of the other mask generators: figures of their papers and of simulations of their code, made apart from
// this one, and the promises of every generator.
#include <algorithm>
#include <cmath>
#include <functional>
#include <gmock/gmock.h>
#include <set>

#include "nodes/lib/host/mask/beit_blocks.h"
#include "nodes/lib/host/mask/filtered_noise.h"
#include "nodes/lib/host/mask/ijepa_blocks.h"
#include "nodes/lib/host/mask/mask_statistics.h"
#include "nodes/lib/host/mask/multi_block.h"
#include "nodes/lib/host/mask/random_patches.h"
#include "nodes/lib/host/mask/visible_blocks.h"

namespace flowrun::mask {
namespace {

constexpr int64_t patches = 196;

Rng group_rng(uint64_t group, uint64_t seed = 7) { return {seed, hash_text("mask"), 0, group}; }
Rng size_rng(uint64_t counter) { return {0, hash_text("sizes"), 0, counter}; }

/// Draws the masks of one group.
using Draw = std::function<void(const Rng&, uint64_t group, int64_t images, Masks&)>;

MaskSummary summary_of(const Draw& draw, int groups, int64_t images = 256) {
  MaskStatistics statistics;
  Masks masks;
  for (int g = 0; g < groups; ++g) {
    draw(group_rng(static_cast<uint64_t>(g)), static_cast<uint64_t>(g), images, masks);
    statistics.add(masks);
  }
  return statistics.summary();
}

void draw_compat(const Rng& group, uint64_t counter, int64_t images, Masks& out) { draw_ijepa_blocks({}, size_rng(counter), group, images, out); }

void draw_fixed(const Rng& group, uint64_t, int64_t images, Masks& out) {
  const MultiBlock options{.size_low = 0.15, .size_high = 0.2, .aspect_low = 0.75, .aspect_high = 1.5, .log_aspect = false, .alternate = false};
  draw_multi_block(options, group, images, out);
}

template <auto function, class Options>
Draw with(const Options& options) {
  return [options](const Rng& group, uint64_t, int64_t images, Masks& out) { function(options, group, images, out); };
}

Draw random(const RandomPatches& o) { return with<draw_random_patches>(o); }
Draw units(const RandomUnits& o) { return with<draw_random_units>(o); }
Draw beit(const BeitBlocks& o) { return with<draw_beit_blocks>(o); }
Draw squares(const SquareBlocks& o) { return with<draw_square_blocks>(o); }
Draw rolled(const RolledBlock& o) { return with<draw_rolled_block>(o); }
Draw noise(const FilteredNoise& o) { return with<draw_filtered_noise>(o); }

// ---- I-JEPA ----

TEST(IjepaBlocks, SizesComeAsOftenAsInThePaper) {
  std::map<std::pair<int, int>, int> counts;
  constexpr int draws = 400'000;
  for (int i = 0; i < draws; ++i) {
    const IjepaSizes sizes = draw_ijepa_sizes({}, size_rng(static_cast<uint64_t>(i)));
    ++counts[{sizes.height, sizes.width}];
    ASSERT_EQ(sizes.context, 13);
  }
  // Exact integration of the law of the code; the paper counted 26.5, 12.6, 21.8, 36.5 and 2.6.
  const std::map<std::pair<int, int>, double> expected = {{{5, 6}, 26.53}, {{6, 5}, 12.57}, {{6, 6}, 21.85}, {{7, 5}, 36.42}, {{8, 5}, 2.63}};
  EXPECT_EQ(counts.size(), expected.size()) << "no other shapes";
  for (const auto& [shape, percent] : expected) EXPECT_NEAR(100.0 * counts[shape] / draws, percent, 0.2) << shape.first << "x" << shape.second;
}

TEST(IjepaBlocks, RatesOfAThousandGroups) {
  const MaskSummary s = summary_of(draw_compat, 1000);
  EXPECT_NEAR(s.target.mean, 0.445, 0.002);
  EXPECT_NEAR(s.target.sd, 0.070, 0.002);
  EXPECT_NEAR(s.seen.mean, 0.243, 0.003);
  EXPECT_NEAR(s.seen.sd, 0.037, 0.002);
  EXPECT_NEAR(s.adjacency, 0.215, 0.01);
  EXPECT_NEAR(s.distance, 3.43, 0.1);
  EXPECT_NEAR(s.row_visibility[0], 0.75, 0.01);
  EXPECT_NEAR(s.row_visibility[6], 0.17, 0.01);
  EXPECT_EQ(s.row_visibility[13], 0) << "the last row is never seen";
  EXPECT_EQ(s.column_visibility[13], 0) << "the last column is never seen";
  for (size_t i = 0; i < 14; ++i) {
    EXPECT_EQ(s.predicted[13 * 14 + i], 0) << "nor predicted: column " << i;
    EXPECT_EQ(s.predicted[i * 14 + 13], 0) << "nor predicted: row " << i;
  }
}

TEST(IjepaBlocks, SmallerGroupsSeeMore) {
  const std::pair<int64_t, double> expected[] = {{32, 0.287}, {64, 0.269}, {128, 0.256}};
  for (const auto& [images, seen] : expected) EXPECT_NEAR(summary_of(draw_compat, 1500, images).seen.mean, seen, 0.004) << images;
}

TEST(IjepaBlocks, SizesFollowTheCounterAlone) {
  Masks a, b;
  draw_ijepa_blocks({}, size_rng(5), group_rng(1), 16, a);
  draw_ijepa_blocks({}, size_rng(5), group_rng(2), 16, b);
  EXPECT_EQ(a.region_size, b.region_size);
  EXPECT_NE(a.targets, b.targets) << "positions are random";
}

TEST(IjepaBlocks, AContextThatIsTooSmallLosesConstraints) {
  // 13 x 13 patches lose nearly all to regions of up to 13 x 13: the code then lets the context overlap targets.
  const IjepaBlocks options{.size_low = 0.7, .size_high = 0.8, .aspect_low = 1, .aspect_high = 1, .min_keep = 60};
  Masks masks;
  draw_ijepa_blocks(options, size_rng(0), group_rng(0), 32, masks);
  EXPECT_GT(masks.visible_count, 60);
  const std::set<int64_t> targets(masks.targets.begin(), masks.targets.begin() + 4 * masks.region_size);
  EXPECT_TRUE(std::any_of(masks.visible.begin(), masks.visible.begin() + masks.visible_count, [&](int64_t p) { return targets.contains(p); }));
  EXPECT_THROW(draw_ijepa_blocks({.min_keep = 170}, size_rng(0), group_rng(0), 2, masks), std::runtime_error) << "no context has more than 169";
  EXPECT_THROW(draw_ijepa_blocks({.grid = 6}, size_rng(0), group_rng(0), 2, masks), std::runtime_error) << "regions of 6 patches";
}

TEST(IjepaFixed, EveryPatchIsSeenAndPredicted) {
  const MaskSummary s = summary_of(draw_fixed, 300);
  for (size_t r = 0; r < 7; ++r) {
    EXPECT_NEAR(s.row_visibility[r], s.row_visibility[13 - r], 0.01) << r;
    EXPECT_NEAR(s.column_visibility[r], s.column_visibility[13 - r], 0.01) << r;
  }
  EXPECT_GT(*std::min_element(s.predicted.begin(), s.predicted.end()), 0.02);
  // Independent area and aspect give shapes that the code's law has not; the sides of I-JEPA's ranges bound them.
  EXPECT_GT((s.sizes.contains({5, 7}) ? s.sizes.at({5, 7}) : 0), 0.01);
  EXPECT_GT((s.sizes.contains({6, 5}) ? s.sizes.at({6, 5}) : 0), (s.sizes.contains({5, 6}) ? s.sizes.at({5, 6}) : 1)) << "higher than wide";
  EXPECT_NEAR(s.target.mean, 0.475, 0.01);
}

// ---- The others ----

TEST(RandomPatches, QuarterVisible) {
  const MaskSummary s = summary_of(random({}), 20);
  EXPECT_EQ(s.seen.min * patches, 49);
  EXPECT_EQ(s.target.min * patches, 147);
  EXPECT_NEAR(s.adjacency, 0.66, 0.01);
  EXPECT_NEAR(s.distance, 1.40, 0.01);
  for (const double v : s.visibility) EXPECT_NEAR(v, 0.25, 0.03);
}

TEST(RandomPatches, CrossMaePredictsAPart) {
  Masks masks;
  draw_random_patches({.kept = 0.25}, group_rng(0), 8, masks);
  EXPECT_EQ(masks.visible_count, 49);
  EXPECT_EQ(masks.region_size, 49) << "one third of the 147 that are hidden";
  draw_random_patches({.kept = 0.75}, group_rng(0), 8, masks);
  EXPECT_EQ(masks.region_size, 147);
}

TEST(RandomUnits, HidesWholeUnits) {
  Masks masks;
  draw_random_units({}, group_rng(0), 64, masks);
  EXPECT_EQ(masks.region_size, 4 * 30) << "ceil(0.6 x 49) units of 2 x 2";
  for (int64_t i = 0; i < 64; ++i) {
    std::set<int64_t> hidden(masks.targets.begin() + i * masks.region_size, masks.targets.begin() + (i + 1) * masks.region_size);
    for (const int64_t p : hidden) {
      const int64_t corner = p / 28 * 28 + p % 14 / 2 * 2;
      for (const int64_t offset : {0, 1, 14, 15}) ASSERT_TRUE(hidden.contains(corner + offset));
    }
  }
}

std::vector<uint8_t> hidden_of(const Masks& masks, int64_t row) {
  const int64_t count = masks.region_size, all = int64_t{masks.grid} * masks.grid;
  std::vector<uint8_t> out(static_cast<size_t>(all));
  for (int64_t m = 0; m < count; ++m) out[static_cast<size_t>(masks.targets[static_cast<size_t>(row * count + m)])] = 1;
  return out;
}

TEST(DisjointMasks, HideWhatTheOthersLeave) {
  // Two of 118 patches (ratio 0.6): the second hides the 78 that the first left, and 40 others.
  Masks masks;
  draw_random_patches({.ratio = 0.6, .disjoint = 2}, group_rng(0), 32, masks);
  ASSERT_EQ(masks.repeats, 2);
  ASSERT_EQ(masks.rows(), 64);
  ASSERT_EQ(masks.region_size, 118);
  std::vector<int> twice(patches);
  for (int64_t i = 0; i < 32; ++i) {
    const auto first = hidden_of(masks, 2 * i), second = hidden_of(masks, 2 * i + 1);
    int64_t both = 0;
    for (size_t p = 0; p < patches; ++p) {
      EXPECT_TRUE(first[p] || second[p]) << "every patch is hidden at least once";
      both += first[p] && second[p], twice[p] += first[p] && second[p];
    }
    EXPECT_EQ(both, 2 * 118 - patches);
  }
  EXPECT_GT(std::count_if(twice.begin(), twice.end(), [](int n) { return n > 0; }), 150) << "the rest is drawn at random";
}

TEST(DisjointMasks, OfAQuarterDontMeet) {
  Masks masks;
  draw_random_patches({.ratio = 0.25, .disjoint = 4}, group_rng(1), 16, masks);
  for (int64_t i = 0; i < 16; ++i) {
    std::vector<int> times(patches);
    for (int64_t r = 0; r < 4; ++r) {
      const auto hidden = hidden_of(masks, 4 * i + r);
      for (size_t p = 0; p < patches; ++p) times[p] += hidden[p];
    }
    for (const int n : times) EXPECT_EQ(n, 1);
  }
}

TEST(DisjointMasks, OfUnitsCoverThem) {
  Masks masks;
  draw_random_units({.disjoint = 2}, group_rng(2), 32, masks);
  ASSERT_EQ(masks.region_size, 4 * 30);
  for (int64_t i = 0; i < 32; ++i) {
    const auto first = hidden_of(masks, 2 * i), second = hidden_of(masks, 2 * i + 1);
    int64_t both = 0;
    for (size_t p = 0; p < patches; ++p) {
      EXPECT_TRUE(first[p] || second[p]);
      both += first[p] && second[p];
    }
    EXPECT_EQ(both, 4 * (30 - 19)) << "19 of 49 units are left, 11 are hidden again";
  }
}

TEST(DisjointMasks, TheFirstOfAnImageIsAnOrdinaryOne) {
  Masks one, two;
  draw_random_patches({}, group_rng(3), 1, one);
  draw_random_patches({.disjoint = 2}, group_rng(3), 1, two);
  EXPECT_EQ(hidden_of(one, 0), hidden_of(two, 0));
}

TEST(RatioAt, MovesLinearly) {
  EXPECT_DOUBLE_EQ(ratio_at(0.25, 0.75, 1, 100), 0.25);
  EXPECT_DOUBLE_EQ(ratio_at(0.25, 0.75, 51, 100), 0.5);
  EXPECT_DOUBLE_EQ(ratio_at(0.75, 0.25, 101, 100), 0.25);
  EXPECT_DOUBLE_EQ(ratio_at(0.25, 0.75, 1000, 100), 0.75) << "and stays";
  EXPECT_DOUBLE_EQ(ratio_at(0.25, 0.75, 0, 0), 0.25) << "outside of a run";
}

TEST(BeitBlocks, HidesNearly75) {
  const MaskSummary s = summary_of(beit({}), 40);
  EXPECT_NEAR(s.target.mean * patches, 74.5, 0.1);
  EXPECT_LE(s.target.max * patches, 75 + 1e-9);
  EXPECT_GE(s.target.min * patches, 62) << "10,240 masks; a simulation of fewer had 66 at least";
  EXPECT_NEAR(s.adjacency, 0.45, 0.01);
  EXPECT_NEAR(s.distance, 1.87, 0.05);
}

TEST(BeitBlocks, MapHoldsAllThatIsHidden) {
  Masks masks;
  draw_beit_blocks({}, group_rng(0), 64, masks);
  ASSERT_EQ(masks.map.size(), 64u * patches);
  for (int64_t i = 0; i < 64; ++i) {
    for (int64_t m = 0; m < masks.region_size; ++m) {
      EXPECT_TRUE(masks.map[static_cast<size_t>(i * patches + masks.targets[static_cast<size_t>(i * masks.region_size + m)])]);
    }
    for (int64_t k = 0; k < masks.visible_count; ++k) {
      EXPECT_FALSE(masks.map[static_cast<size_t>(i * patches + masks.visible[static_cast<size_t>(i * masks.visible_count + k)])]);
    }
  }
  draw_beit_blocks({.exact = true}, group_rng(0), 64, masks);
  EXPECT_EQ(masks.region_size, 75);
  EXPECT_EQ(masks.visible_count, 121);
}

TEST(BeitBlocks, SpreadOverAHalfOfTheImages) {
  Masks masks;
  draw_beit_blocks({.min_block = 4, .exact = true, .spread_low = 0.1, .spread_high = 0.5}, group_rng(0), 64, masks);
  std::vector<double> ratios;
  int64_t whole = 0;
  for (int64_t i = 0; i < 64; ++i) {
    const auto row = masks.map.begin() + i * patches;
    const auto hidden = std::count(row, row + patches, 1);
    whole += hidden == 0;
    if (hidden > 0) ratios.push_back(static_cast<double>(hidden) / patches);
  }
  EXPECT_EQ(whole, 32);
  EXPECT_EQ(masks.region_size, 0) << "images without targets leave no common list";
  EXPECT_EQ(masks.visible_count, patches - static_cast<int64_t>(std::lround(*std::max_element(ratios.begin(), ratios.end()) * patches)));
  std::sort(ratios.begin(), ratios.end());
  for (size_t i = 0; i < ratios.size(); ++i) {
    // One ratio in each of 32 equal parts of [0.1, 0.5]; whole patches round down.
    EXPECT_GE(ratios[i], 0.1 + 0.0125 * static_cast<double>(i) - 1.0 / patches - 1e-9);
    EXPECT_LE(ratios[i], 0.1 + 0.0125 * static_cast<double>(i + 1));
  }
}

TEST(BeitBlocks, ChoiceOfARatioForEachImage) {
  // iBOT: ratio 0, or uniform from 0.1 to 0.5.
  Masks masks;
  std::vector<double> ratios;
  int64_t whole = 0;
  for (uint64_t g = 0; g < 20; ++g) {
    draw_beit_blocks({.exact = true, .choice = {{0, 0}, {0.3, 0.2}}}, group_rng(g), 64, masks);
    EXPECT_EQ(masks.region_size, 0);
    ASSERT_EQ(masks.map.size(), 64u * patches);
    for (int64_t i = 0; i < 64; ++i) {
      const auto row = masks.map.begin() + i * patches;
      const auto hidden = static_cast<double>(std::count(row, row + patches, 1));
      whole += hidden == 0;
      if (hidden > 0) ratios.push_back(hidden / patches);
    }
  }
  EXPECT_NEAR(static_cast<double>(whole) / 1280, 0.5, 0.05) << "3.5 standard deviations";
  std::sort(ratios.begin(), ratios.end());
  EXPECT_GE(ratios.front(), 19.0 / patches);
  EXPECT_LE(ratios.back(), 98.0 / patches);
  for (const double q : {0.1, 0.25, 0.5, 0.75, 0.9}) {
    EXPECT_NEAR(ratios[static_cast<size_t>(q * static_cast<double>(ratios.size()))], 0.1 + 0.4 * q, 0.03) << q;
  }
  draw_beit_blocks({.min_block = 4, .exact = true, .choice = {{0.25, 0}}}, group_rng(0), 8, masks);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(std::count(masks.map.begin() + i * patches, masks.map.begin() + (i + 1) * patches, 1), 49);
}

TEST(BeitBlocks, MaxBlockLimitsEachBlock) {
  // Of 98 patches in blocks of at most 8 there are at least 13 blocks: more patches than one block's lie beside visible ones.
  const double free = summary_of(beit({.count = 98, .min_block = 4}), 10).adjacency;
  const double limited = summary_of(beit({.count = 98, .min_block = 4, .max_block = 8}), 10).adjacency;
  EXPECT_GT(limited, free + 0.1);
  Masks masks;
  draw_beit_blocks({.count = 8, .min_block = 4, .max_block = 4}, group_rng(0), 64, masks);
  for (int64_t i = 0; i < 64; ++i) EXPECT_LE(std::count(masks.map.begin() + i * patches, masks.map.begin() + (i + 1) * patches, 1), 8);
  Masks same;
  draw_beit_blocks({}, group_rng(0), 64, masks), draw_beit_blocks({.max_block = 75}, group_rng(0), 64, same);
  EXPECT_EQ(masks.map, same.map) << "a limit that never binds changes nothing";
}

TEST(BeitBlocks, BlocksThatFitNowhereAreAnError) {
  Masks masks;
  EXPECT_THROW(draw_beit_blocks({.grid = 4, .count = 2, .min_block = 1'000'000'000}, group_rng(0), 4, masks), std::runtime_error);
}

TEST(SquareBlocks, Exactly39Visible) {
  const MaskSummary s = summary_of(squares({}), 40);
  EXPECT_DOUBLE_EQ(s.seen.min * patches, 39);
  EXPECT_DOUBLE_EQ(s.target.min * patches, patches - 39);
  EXPECT_DOUBLE_EQ(s.target.max * patches, patches - 39);
  EXPECT_NEAR(s.adjacency, 0.275, 0.01);
  EXPECT_NEAR(s.distance, 2.80, 0.05);
}

TEST(SquareBlocks, SeveralMasksOfAnImage) {
  Masks many;
  draw_square_blocks({.repeats = 4}, group_rng(0), 16, many);
  EXPECT_EQ(many.rows(), 64);
  EXPECT_EQ(many.visible.size(), 64u * 39);
  const std::vector<int64_t> first(many.visible.begin(), many.visible.begin() + 39), second(many.visible.begin() + 39, many.visible.begin() + 78);
  EXPECT_NE(first, second);
}

TEST(RolledBlock, EveryPatchIsVisibleEquallyOften) {
  const MaskSummary s = summary_of(rolled({}), 400);
  // 102,400 masks: a standard deviation of 0.0014.
  for (const double v : s.visibility) EXPECT_NEAR(v, 0.25, 0.01);
  EXPECT_NEAR(s.adjacency, 0.18, 0.01);
  EXPECT_NEAR(s.distance, 3.53, 0.05);
}

TEST(RolledBlock, WithoutRollTheMiddleIsSeenMost) {
  const MaskSummary s = summary_of(rolled({.ratio_low = 0.8, .ratio_high = 0.8, .roll = false}), 100);
  EXPECT_NEAR(s.adjacency, 0.15, 0.01);
  EXPECT_NEAR(s.distance, 4.36, 0.1);
  EXPECT_NEAR(s.row_visibility[0], 0.06, 0.01);
  EXPECT_NEAR(s.row_visibility[6], 0.34, 0.015);
  EXPECT_NEAR(s.row_visibility[13], 0.01, 0.005);
}

TEST(RolledBlock, RatioIsDrawnOncePerGroup) {
  std::vector<double> seen;
  for (uint64_t g = 0; g < 300; ++g) {
    Masks masks;
    draw_rolled_block({.ratio_low = 0.7, .ratio_high = 0.8}, group_rng(g), 4, masks);
    seen.push_back(static_cast<double>(masks.visible_count) / patches);
  }
  EXPECT_LT(*std::min_element(seen.begin(), seen.end()), 0.21);
  EXPECT_GT(*std::max_element(seen.begin(), seen.end()), 0.29);
  EXPECT_GE(*std::min_element(seen.begin(), seen.end()), 0.2);
  EXPECT_LE(*std::max_element(seen.begin(), seen.end()), 0.31);
}

TEST(RolledBlock, CapiPredictsAPart) {
  Masks masks;
  draw_rolled_block({.ratio_low = 0.65, .ratio_high = 0.65, .roll = false, .predicted = 0.05}, group_rng(0), 8, masks);
  EXPECT_EQ(masks.visible_count, patches - 127);
  EXPECT_EQ(masks.region_size, 6) << "int(0.05 x 127)";
}

TEST(RolledBlock, SpreadMasksAShareOfTheImagesWithRatiosEvenlyOverTheRange) {
  Masks masks;
  draw_rolled_block({.spread_low = 0.1, .spread_high = 0.65, .masked_share = 0.5}, group_rng(0), 64, masks);
  std::vector<int64_t> hidden;
  for (int64_t i = 0; i < 64; ++i) hidden.push_back(std::count(map_of_row(masks, i), map_of_row(masks, i) + patches, uint8_t{1}));
  std::sort(hidden.begin(), hidden.end());
  EXPECT_EQ(hidden[31], 0);
  for (int64_t i = 0; i < 32; ++i) {  // one in each of 32 equal parts of the range
    const double low = 0.1 + 0.55 / 32 * static_cast<double>(i);
    EXPECT_GE(static_cast<double>(hidden[static_cast<size_t>(32 + i)] + 1), low * patches);
    EXPECT_LE(static_cast<double>(hidden[static_cast<size_t>(32 + i)]), (low + 0.55 / 32) * patches);
  }
  EXPECT_EQ(masks.region_size, 0) << "the lists have no targets";
}

TEST(FilteredNoise, Colours) {
  // Simulations in Fourier space.
  const MaskSummary green = summary_of(noise({}), 20);
  EXPECT_NEAR(green.adjacency, 0.436, 0.01);
  EXPECT_NEAR(green.distance, 1.82, 0.03);
  const MaskSummary finer = summary_of(noise({.sigma1 = 0.5}), 20);
  EXPECT_NEAR(finer.adjacency, 0.597, 0.01);
  EXPECT_NEAR(finer.distance, 1.487, 0.03);
  // Low frequencies make blobs, high ones scatter more than chance (0.66) does.
  const double red = summary_of(noise({.colour = NoiseColour::red}), 20).adjacency;
  const double blue = summary_of(noise({.colour = NoiseColour::blue}), 20).adjacency;
  const double purple = summary_of(noise({.colour = NoiseColour::purple}), 20).adjacency;
  EXPECT_LT(red, green.adjacency - 0.05);
  EXPECT_GT(blue, 0.68);
  EXPECT_GT(purple, 0.67);
  EXPECT_LT(purple, blue);
  EXPECT_DOUBLE_EQ(green.seen.mean * patches, 49);
}

TEST(Generators, CountsThatLeaveNothingAreErrors) {
  Masks masks;
  EXPECT_THROW(draw_random_patches({.ratio = 1}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_random_patches({.ratio = 0}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_random_patches({.grid = 2, .ratio = 0.9}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_random_units({.ratio = 0.99}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_beit_blocks({.count = 196, .exact = true}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_square_blocks({.keep = 0.001}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_square_blocks({.grid = 4}, group_rng(0), 2, masks), std::runtime_error) << "no square";
  EXPECT_THROW(draw_rolled_block({.ratio_low = 1, .ratio_high = 1}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_filtered_noise({.ratio = 1}, group_rng(0), 2, masks), std::runtime_error);
  EXPECT_THROW(draw_filtered_noise({.sigma2 = 40}, group_rng(0), 2, masks), std::runtime_error);
}

// ---- What all promise ----

struct Named {
  const char* name;
  Draw draw;
};

class EveryGenerator : public testing::TestWithParam<Named> {};

TEST_P(EveryGenerator, ListsAreApartSortedAndInRange) {
  Masks masks;
  GetParam().draw(group_rng(1), 1, 48, masks);
  ASSERT_EQ(masks.images, 48);
  ASSERT_GT(masks.visible_count, 0);
  ASSERT_EQ(masks.visible.size(), static_cast<size_t>(masks.rows() * masks.visible_count));
  ASSERT_EQ(masks.targets.size(), static_cast<size_t>(masks.rows() * masks.regions * masks.region_size));
  for (int64_t row = 0; row < masks.rows(); ++row) {
    const auto visible = masks.visible.begin() + row * masks.visible_count;
    const std::set<int64_t> seen(visible, visible + masks.visible_count);
    EXPECT_TRUE(std::is_sorted(visible, visible + masks.visible_count));
    ASSERT_EQ(static_cast<int64_t>(seen.size()), masks.visible_count);
    EXPECT_GE(*seen.begin(), 0);
    EXPECT_LT(*seen.rbegin(), patches);
    for (int64_t r = 0; r < masks.regions; ++r) {
      const auto region = masks.targets.begin() + (row * masks.regions + r) * masks.region_size;
      EXPECT_TRUE(std::is_sorted(region, region + masks.region_size));
      for (int64_t m = 0; m < masks.region_size; ++m) {
        EXPECT_TRUE(region[m] >= 0 && region[m] < patches);
        EXPECT_FALSE(seen.contains(region[m]));
      }
    }
  }
}

TEST_P(EveryGenerator, DependsOnTheAddressAlone) {
  Masks a, b, other;
  // Not on what the output held before either.
  GetParam().draw(group_rng(9), 9, 40, b);
  GetParam().draw(group_rng(3), 3, 24, a);
  GetParam().draw(group_rng(3), 3, 24, b);
  EXPECT_EQ(a.visible, b.visible);
  EXPECT_EQ(a.targets, b.targets);
  EXPECT_EQ(a.map, b.map);
  // Another group, as of another rank, and another seed; the place of the sizes being the same.
  GetParam().draw(group_rng(4), 3, 24, other);
  EXPECT_NE(a.visible, other.visible);
  GetParam().draw(group_rng(3, 8), 3, 24, other);
  EXPECT_NE(a.visible, other.visible);
}

TEST_P(EveryGenerator, AnImageDoesNotDependOnTheOthers) {
  Masks many, few;
  GetParam().draw(group_rng(3), 3, 64, many);
  GetParam().draw(group_rng(3), 3, 8, few);
  ASSERT_EQ(few.visible_count >= many.visible_count, true);
  const auto region = many.regions * many.region_size;
  for (int64_t row = 0; row < few.rows(); ++row) {
    // Fewer images leave more; what many leave is among it.
    const auto more = few.visible.begin() + row * few.visible_count, less = many.visible.begin() + row * many.visible_count;
    EXPECT_TRUE(std::includes(more, more + few.visible_count, less, less + many.visible_count)) << row;
    if (many.map.empty()) {
      EXPECT_TRUE(std::equal(few.targets.begin() + row * region, few.targets.begin() + (row + 1) * region, many.targets.begin() + row * region))
          << row;
    }
  }
  EXPECT_TRUE(std::equal(few.map.begin(), few.map.end(), many.map.begin()));
}

INSTANTIATE_TEST_SUITE_P(Masks, EveryGenerator,
                         testing::Values(Named{"ijepa_compat", draw_compat}, Named{"ijepa_fixed", draw_fixed}, Named{"random", random({})},
                                         Named{"random_kept", random({.kept = 0.25})}, Named{"units", units({})}, Named{"blockwise", beit({})},
                                         Named{"blockwise_exact", beit({.exact = true})}, Named{"inverse_block", squares({})},
                                         Named{"inverse_block_repeated", squares({.repeats = 3})},
                                         Named{"cyclic_block", rolled({.ratio_low = 0.7, .ratio_high = 0.8})},
                                         Named{"capi", rolled({.roll = false, .predicted = 0.05})}, Named{"noise", noise({})},
                                         Named{"noise_purple", noise({.colour = NoiseColour::purple})}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace flowrun::mask
