// The answer of a sweep: means and spreads of its variants over seeds, and each variant's comparison with the baseline, seed by seed.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/app/sweep/found.h"
#include "tools/app/sweep/statistics.h"

namespace flowrun::app {

/// The values of one metric in the runs that have it, in the order of the plan's seeds.
struct BySeed {
  std::vector<int64_t> seeds;
  std::vector<double> values;

  void add(int64_t seed, double value) { seeds.push_back(seed), values.push_back(value); }
};

/// A variant, over the seeds whose runs are done.
struct VariantFound {
  std::string name;
  std::vector<int64_t> seeds;
  std::map<std::string, BySeed> values;  // after training
  std::map<std::string, BySeed> starts;  // accuracies of evaluations at step 0, as NODE.accuracy
  std::vector<double> equal_time;        // accuracy of Answer::curve at the time at which the fastest variant has ended
  double seconds_per_step = 0;           // median
};

/// A variant against the baseline, over the seeds that both have.
struct Comparison {
  std::string variant;
  std::vector<int64_t> seeds;  // those with the metric in both
  size_t done = 0;             // seeds whose runs of both are done
  std::optional<Paired> test;  // none: fewer than two seeds, or differences without spread
  double p = 1;                // after Holm's correction over all comparisons
  double difference = 0;       // mean
  int64_t seeds_needed = 0;    // to see Answer::looked_for (if 0: the difference as it is); 0: no test

  /// All of two seeds or more differ by the same: there is no spread to test with.
  bool same_difference() const { return seeds.size() > 1 && !test; }
};

struct Answer {
  std::string metric;  // that decides; empty: no run that is done has it
  bool higher_better = true;
  std::string baseline;
  double looked_for = 0;             // the smallest difference that matters; 0: not said
  std::vector<std::string> metrics;  // of the table, in order
  std::string curve;                 // the evaluation whose accuracies "equal time" reads; empty: none
  double equal_seconds = 0;
  bool same_start = false;              // all variants begin with the same accuracies, seed by seed
  std::vector<VariantFound> variants;   // those with runs that are done
  std::vector<Comparison> comparisons;  // all but the baseline
};

/// `found`: of each run of the plan, in its order.
Answer answer_of(const SweepPlan& plan, const std::vector<Found>& found);

/// {"decide", "goal", "baseline", "variants": […], "comparisons": […]}
nlohmann::ordered_json answer_json(const Answer& answer);

}  // namespace flowrun::app
