#include "tools/app/sweep/words.h"

#include <algorithm>
#include <cmath>

#include "graph/contract/direction.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

std::string count_of(size_t count, const std::string& what) { return std::to_string(count) + " " + what + (count == 1 ? "" : "s"); }

std::string p_text(double p) {
  if (p < 0.001) return "p < 0.001";
  return p < 0.0995 ? print("p = %.3f", p) : print("p = %.2f", p);
}

/// The sentence of a comparison with a test.
std::string tested(const Answer& answer, const Comparison& c, size_t tests) {
  const Paired& test = *c.test;
  const Numbers numbers(answer.metric, test.half_width);
  const std::string seeds = count_of(c.seeds.size(), "seed");
  const std::string p = p_text(c.p) + (tests > 1 ? " after Holm's correction for " + std::to_string(tests) + " comparisons" : "");
  if (c.p < 0.05) {
    const bool better = (c.difference > 0) == answer.higher_better;
    return c.variant + " is " + (better ? "better" : "worse") + " than " + answer.baseline + " by " +
           numbers.of_metric(numbers.text(std::abs(c.difference)) + " ± " + numbers.text(test.half_width)) + " (" + seeds + ", " + p + ").";
  }
  const std::string interval = numbers.with_sign(c.difference - test.half_width) + " to " + numbers.with_sign(c.difference + test.half_width);
  if (answer.looked_for > 0 && std::abs(c.difference) + test.half_width <= answer.looked_for) {
    const Numbers small(answer.metric, answer.looked_for);
    return c.variant + " and " + answer.baseline + " differ by less than " + small.of_metric(small.text(answer.looked_for)) + ": the interval is " +
           interval + " (" + seeds + ").";
  }
  const double sought = answer.looked_for > 0 ? answer.looked_for : std::abs(c.difference);
  const Numbers exact(answer.metric, sought);
  std::string more =
      c.seeds_needed >= most_pairs ? std::to_string(most_pairs) + " seeds or more" : "about " + std::to_string(c.seeds_needed) + " seeds";
  more += " are needed";
  more = answer.looked_for > 0 ? "to see a difference of " + exact.text(sought) + ", " + more
                               : "if the true difference is the " + exact.text(sought) + " seen here, " + more + " to tell it";
  return "No difference between " + c.variant + " and " + answer.baseline + " can be told with " + seeds + ": the interval is " +
         numbers.of_metric(interval) + " (" + p + "); " + more + " (power 0.8).";
}

/// The sentence that says how much narrower pairing by seed makes intervals.
std::string pairing(const Answer& answer) {
  double least = 0, most = 0;
  for (const Comparison& c : answer.comparisons) {
    const double narrower = c.test ? c.test->narrower() : 0;
    if (narrower == 0) continue;
    least = least == 0 ? narrower : std::min(least, narrower);
    most = std::max(most, narrower);
  }
  const std::string out =
      "The same seed gives the same initial weights, order of data and crops wherever the pipelines agree, so runs are compared seed by seed";
  if (most == 0) return out + ".";
  const std::string range = least + 0.05 < most ? print("%.1f to %.1f", least, most) : print("%.1f", most);
  if (least >= 1.05) return out + ": pairing makes the interval " + range + " times narrower.";
  return out + "; unpaired, the interval would be " + range + " times as wide.";
}

/// The sentence of a comparison whose differences are the same with all seeds.
std::string same_difference(const Answer& answer, const Comparison& c) {
  const std::string all = "all " + count_of(c.seeds.size(), "seed");
  const Numbers numbers(answer.metric, std::abs(c.difference));
  if (c.difference == 0) return c.variant + " and " + answer.baseline + " have equal " + answer.metric + " with " + all + ".";
  return c.variant + " differs from " + answer.baseline + " by the same " + numbers.of_metric(numbers.with_sign(c.difference)) + " with " + all +
         ": differences that do not vary allow no test.";
}

/// Sentences of the comparisons without a test: one for each reason why there is none.
void add_untested(const Answer& answer, std::vector<std::string>& out) {
  std::vector<std::string> none, one, lacking;
  for (const Comparison& c : answer.comparisons) {
    const Numbers numbers(answer.metric, std::abs(c.difference));
    if (c.same_difference()) out.push_back(same_difference(answer, c));
    if (c.seeds.size() == 1) one.push_back(c.variant + " " + numbers.with_sign(c.difference));
    if (c.seeds.empty()) (c.done == 0 ? none : lacking).push_back(c.variant);
  }
  const auto base = std::find_if(answer.variants.begin(), answer.variants.end(), [&](const auto& v) { return v.name == answer.baseline; });
  if (base == answer.variants.end()) {
    out.push_back("The baseline " + answer.baseline + " has no run that is done: --baseline VARIANT compares with another.");
    return;
  }
  if (!base->values.contains(answer.metric)) {
    out.push_back("No run of the baseline " + answer.baseline + " has " + answer.metric +
                  ": --baseline VARIANT compares with another, --decide METRIC by another number.");
    return;
  }
  if (!one.empty())
    out.push_back("One seed in common with " + answer.baseline + ", so that no test is possible; differences in " +
                  Numbers(answer.metric, 0).of_metric("") + ": " + join(one) + ".");
  if (!none.empty()) out.push_back("No seed in common with " + answer.baseline + " that is done: " + join(none) + ".");
  if (!lacking.empty())
    out.push_back("No seed in common with " + answer.baseline + " that has " + answer.metric + ": " + join(lacking) +
                  ". --decide METRIC compares by another number.");
}

std::string recommendation(const Answer& answer) {
  const Comparison* best = nullptr;
  size_t better = 0, tests = 0;
  for (const Comparison& c : answer.comparisons) {
    tests += c.test ? 1 : 0;
    if (!c.test || c.p >= 0.05 || (c.difference > 0) != answer.higher_better) continue;
    ++better;
    if (best == nullptr || std::abs(c.difference) > std::abs(best->difference)) best = &c;
  }
  if (tests == 0) return "";
  if (best == nullptr) return "Recommendation: keep " + answer.baseline + "; no variant is shown to be better.";
  return "Recommendation: take " + best->variant +
         (better > 1 ? ", whose mean is the best of the " + std::to_string(better) + " variants that are better than " + answer.baseline : "") + ".";
}

}  // namespace

Numbers::Numbers(const std::string& metric, double spread) : metric_(metric), scale_(is_share(metric) ? 100 : 1) {
  const double seen = spread * scale_;
  if (is_share(metric)) {
    decimals_ = seen > 0 ? std::clamp(static_cast<int>(-std::floor(std::log10(seen))), 1, 2) : 1;
  } else if (seen > 0) {
    decimals_ = std::clamp(1 - static_cast<int>(std::floor(std::log10(seen))), 0, 9);
  }
}

std::string Numbers::text(double value) const { return decimals_ < 0 ? print("%.4g", scale_ * value) : print("%.*f", decimals_, scale_ * value); }

std::string Numbers::with_sign(double value) const { return (value > 0 ? "+" : "") + text(value); }

std::string Numbers::of_metric(const std::string& text) const {
  const std::string before = text.empty() ? "" : text + " ";
  if (scale_ == 100) return before + "points of " + metric_;
  return before + (text.empty() ? "" : "of ") + (metric_ == "loss" ? "the loss" : metric_);
}

std::string mean_and_deviation(const std::string& metric, const std::vector<double>& values) {
  if (values.empty()) return "-";
  const Summary s = summary_of(values);
  const Numbers numbers(metric, s.deviation);
  return numbers.text(s.mean) + (s.count > 1 ? " ± " + numbers.text(s.deviation) : "");
}

std::vector<std::string> sentences(const SweepPlan& plan, const Answer& answer) {
  std::vector<std::string> out;
  if (plan.variants.size() < 2 || answer.variants.empty()) return out;
  if (plan.seeds.size() < 2)
    return {
        "One run of each variant: no test is possible. --seeds 3, or \"seeds\": 3 in the sweep file, runs each with the seeds 0, 1, 2, and compares "
        "them."};
  if (answer.metric.empty())
    return {"No run that is done has " + plan.decide + ", so that nothing is compared: " + did_you_mean(plan.decide, answer.metrics) +
            (answer.metrics.empty() ? "they have no numbers." : "they have " + join(answer.metrics) + ", of which --decide names one.")};
  if (plan.chosen && answer.metric == "loss")
    out.emplace_back("No evaluation reports an accuracy: the last loss decides, which compares only variants of the same loss and masks.");
  const auto tests = static_cast<size_t>(
      std::count_if(answer.comparisons.begin(), answer.comparisons.end(), [](const Comparison& c) { return c.test.has_value(); }));
  for (const Comparison& c : answer.comparisons) {
    if (c.test) out.push_back(tested(answer, c, tests));
  }
  add_untested(answer, out);
  if (tests > 0) out.push_back(pairing(answer));
  if (const std::string take = recommendation(answer); !take.empty()) out.push_back(take);
  return out;
}

}  // namespace flowrun::app
