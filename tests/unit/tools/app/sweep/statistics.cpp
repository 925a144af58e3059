#include "tools/app/sweep/statistics.h"

#include <cmath>
#include <gmock/gmock.h>

namespace flowrun::app {
namespace {

using testing::ElementsAre;

/// Relative error. Expected values are those of SciPy 1.17.1: special.betainc, stats.t, ttest_rel, ttest_ind, nct.
void expect_near(double value, double expected) { EXPECT_NEAR(value, expected, 1e-10 * std::abs(expected)); }

TEST(Statistics, IncompleteBeta) {
  expect_near(incomplete_beta(0.5, 0.5, 0.3), 0.36901011956554536);
  expect_near(incomplete_beta(2.5, 0.5, 0.9), 0.48958974456442755);
  expect_near(incomplete_beta(15, 0.5, 0.02), 4.778827075879591e-27);
  expect_near(incomplete_beta(3, 7, 0.65), 0.988817830203125);
  EXPECT_EQ(incomplete_beta(2, 3, 0), 0);
  EXPECT_EQ(incomplete_beta(2, 3, 1), 1);
}

TEST(Statistics, StudentsDistribution) {
  expect_near(student_two_sided(0.1, 1), 0.936548965138893);
  expect_near(student_two_sided(2, 1), 0.2951672353008665);
  expect_near(student_two_sided(12.7062047364321, 1), 0.04999999999899129);
  expect_near(student_two_sided(2.5, 4), 0.06676654481198814);
  expect_near(student_two_sided(-6, 7), 0.0005422583420028105);
  expect_near(student_two_sided(40, 9), 1.8982998449339822e-11);
  expect_near(student_two_sided(1.2, 250), 0.23127526956677688);
  expect_near(student_two_sided(3.3, 2.6), 0.05618874861845626);
  expect_near(student_critical(0.05, 1), 12.706204736174705);
  expect_near(student_critical(0.05, 2), 4.302652729749464);
  expect_near(student_critical(0.05, 4), 2.7764451051977943);
  expect_near(student_critical(0.4, 4), 0.9409645772351811);
  expect_near(student_critical(0.05, 29), 2.045229642132704);
  expect_near(student_critical(0.001, 7), 5.407882520861726);
  expect_near(student_critical(0.0125, 5), 3.81000469984464);
  expect_near(student_critical(0.05, 3.7), 2.8675207071911903);
  expect_near(student_critical(0.05, 10000.0), 1.9602012398906263);
  EXPECT_EQ(student_two_sided(0, 5), 1);
}

TEST(Statistics, PairsAreTestedByTheirDifferences) {
  const std::vector<double> a = {0.912, 0.874, 0.931, 0.853, 0.902}, b = {0.921, 0.893, 0.94, 0.859, 0.928};
  const Paired found = paired(a, b);
  EXPECT_NEAR(found.differences.mean, 0.0138, 1e-15);
  expect_near(found.error, 0.003760319135392643);
  expect_near(found.half_width, 0.010440319657442503);
  expect_near(found.p, 0.02139300412258522);
  expect_near(found.unpaired_error, 0.020069877926883372);
  expect_near(found.unpaired_half_width, 0.04629930321717507);
  expect_near(found.narrower(), 0.04629930321717507 / 0.010440319657442503);
}

TEST(Statistics, EqualDifferencesAllowNoTest) {
  EXPECT_FALSE(paired({1, 2, 3}, {1, 2, 3}).has_spread());
  EXPECT_EQ(paired({1, 2, 3}, {1, 2, 3}).narrower(), 0);
  EXPECT_FALSE(paired({0.1, 0.2, 0.5}, {0.2, 0.3, 0.6}).has_spread());  // but for rounding
  EXPECT_TRUE(paired({0.1, 0.2, 0.5}, {0.2, 0.3, 0.600001}).has_spread());
  const Paired shifted = paired({0.5, 0.25, 0.75}, {1, 0.75, 1.25});
  EXPECT_EQ(shifted.p, 1);
  EXPECT_EQ(shifted.half_width, 0);
  EXPECT_EQ(shifted.differences.mean, 0.5);
}

TEST(Statistics, Summary) {
  const Summary s = summary_of({2, 4, 9});
  EXPECT_EQ(s.mean, 5);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(13));
  EXPECT_EQ(s.low, 2);
  EXPECT_EQ(s.high, 9);
  EXPECT_EQ(summary_of({7}).deviation, 0);
  EXPECT_EQ(summary_of({0.1, 0.1, 0.1}).deviation, 0);
  EXPECT_EQ(median({3, 9, 1}), 3);
  EXPECT_EQ(median({9, 1, 4, 2}), 3);
}

TEST(Statistics, HolmStepsDown) {
  EXPECT_THAT(holm({0.01, 0.04, 0.03}), ElementsAre(0.03, 0.06, 0.06));
  EXPECT_THAT(holm({0.7, 0.6}), ElementsAre(1, 1));
  EXPECT_THAT(holm({0.2}), ElementsAre(0.2));
  EXPECT_TRUE(holm({}).empty());
}

TEST(Statistics, PairsForAPowerOfFourFifths) {
  // By the noncentral t: 4, 5, 10, 34, 128, 21, 7.
  EXPECT_EQ(pairs_needed(1, 3, 0.05), 4);
  EXPECT_EQ(pairs_needed(1, 2, 0.05), 5);
  EXPECT_EQ(pairs_needed(1, 1, 0.05), 10);
  EXPECT_EQ(pairs_needed(1, 0.5, 0.05), 34);
  EXPECT_EQ(pairs_needed(2, 0.5, 0.05), 128);
  EXPECT_EQ(pairs_needed(1, 0.8, 0.0125), 21);
  EXPECT_EQ(pairs_needed(1, 2, 0.0125), 6);
  EXPECT_EQ(pairs_needed(0, 1, 0.05), 2);
  EXPECT_EQ(pairs_needed(1, 0, 0.05), most_pairs);
}

}  // namespace
}  // namespace flowrun::app
