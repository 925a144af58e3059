#include "tools/app/sweep/answer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "graph/contract/direction.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

using Curve = std::vector<std::pair<int64_t, double>>;

/// The accuracy after `steps` steps, interpolated linearly between evaluations.
double at_steps(const Curve& curve, double steps) {
  const auto after = std::find_if(curve.begin(), curve.end(), [&](const auto& point) { return static_cast<double>(point.first) >= steps; });
  if (after == curve.end()) return curve.back().second;
  if (after == curve.begin() || static_cast<double>(after->first) == steps) return after->second;
  const auto& [step, value] = *(after - 1);
  return value + (after->second - value) * (steps - static_cast<double>(step)) / static_cast<double>(after->first - step);
}

/// The runs of one variant that are done.
struct Group {
  std::string name;
  std::vector<const Variant*> runs;
  std::vector<const Found*> found;
};

std::vector<Group> groups_of(const SweepPlan& plan, const std::vector<Found>& found) {
  std::vector<Group> out;
  for (const std::string& name : plan.variants) {
    Group group{name, {}, {}};
    for (size_t r = 0; r < plan.runs.size(); ++r) {
      if (plan.runs[r].variant == name && found[r].is_done()) group.runs.push_back(&plan.runs[r]), group.found.push_back(&found[r]);
    }
    out.push_back(std::move(group));
  }
  return out;
}

/// The table's metrics, in the order in which runs have them. Settings that evaluations report, such as a k, are left out: they have the same value
/// in all runs, and are neither a loss nor a share.
std::vector<std::string> metrics_of(const std::vector<Group>& groups, const std::string& decides) {
  std::vector<std::string> order;
  std::map<std::string, std::set<double>> values;
  std::map<std::string, size_t> have;
  size_t runs = 0;
  for (const Group& group : groups) {
    runs += group.found.size();
    for (const Found* run : group.found) {
      for (const auto& [name, value] : run->metrics) {
        if (values[name].empty()) order.push_back(name);
        values[name].insert(value), ++have[name];
      }
    }
  }
  std::erase_if(order, [&](const std::string& name) {
    return runs > 1 && have[name] == runs && values[name].size() == 1 && name != "loss" && name != decides && !is_share(name);
  });
  // The loss comes last: evaluations say more.
  std::stable_partition(order.begin(), order.end(), [](const std::string& name) { return name != "loss"; });
  return order;
}

/// The plan's metric, which was fixed before anything ran; empty if no run has it.
std::string deciding(const SweepPlan& plan, const std::vector<Group>& groups) {
  const auto has = [&](const Found* run) { return run->metric(plan.decide) != nullptr; };
  const bool any = std::any_of(groups.begin(), groups.end(), [&](const Group& group) { return std::ranges::any_of(group.found, has); });
  return any ? plan.decide : "";
}

/// The evaluation that was made most often: "equal time" reads its accuracies.
std::string longest_curve(const std::vector<Group>& groups, const std::vector<std::string>& metrics) {
  std::string out;
  size_t longest = 0;
  for (const std::string& metric : metrics) {
    const std::string node(node_of(metric));
    if (metric != node + ".accuracy") continue;
    for (const Group& group : groups) {
      for (const Found* run : group.found) {
        const auto curve = run->curves.find(node);
        if (curve != run->curves.end() && curve->second.size() > longest) out = node, longest = curve->second.size();
      }
    }
  }
  return out;
}

VariantFound summed_up(const Group& group) {
  VariantFound out{.name = group.name};
  std::vector<double> steps;
  for (size_t r = 0; r < group.found.size(); ++r) {
    const Found& run = *group.found[r];
    const int64_t seed = group.runs[r]->seed.value_or(0);
    out.seeds.push_back(seed);
    for (const auto& [name, value] : run.metrics) out.values[name].add(seed, value);
    for (const auto& [node, curve] : run.curves) {
      if (!curve.empty() && curve.front().first == 0) out.starts[node + ".accuracy"].add(seed, curve.front().second);
    }
    steps.push_back(run.seconds_per_step);
  }
  out.seconds_per_step = median(steps);
  return out;
}

/// Whether all variants begin with the same accuracies, seed by seed.
bool begin_equal(const std::vector<Group>& groups) {
  std::map<std::pair<int64_t, std::string>, std::set<std::pair<int64_t, double>>> at;
  for (const Group& group : groups) {
    for (size_t r = 0; r < group.found.size(); ++r) {
      for (const auto& [node, curve] : group.found[r]->curves) {
        if (!curve.empty()) at[{group.runs[r]->seed.value_or(0), node}].insert(curve.front());
      }
    }
  }
  return std::all_of(at.begin(), at.end(), [](const auto& each) { return each.second.size() == 1; });
}

Comparison compared(const Group& base, const Group& other, const Answer& answer) {
  Comparison out{.variant = other.name};
  std::vector<double> a, b;
  for (size_t i = 0; i < base.runs.size(); ++i) {
    for (size_t j = 0; j < other.runs.size(); ++j) {
      const double* const first = base.found[i]->metric(answer.metric);
      const double* const second = other.found[j]->metric(answer.metric);
      if (base.runs[i]->seed != other.runs[j]->seed) continue;
      ++out.done;
      if (first == nullptr || second == nullptr) continue;
      out.seeds.push_back(base.runs[i]->seed.value_or(0));
      a.push_back(*first), b.push_back(*second);
    }
  }
  if (a.size() == 1) out.difference = b[0] - a[0];
  if (a.size() < 2) return out;
  const Paired found = paired(a, b);
  out.difference = found.differences.mean;
  if (found.has_spread()) out.test = found;
  return out;
}

ordered_json numbers(const std::vector<double>& values) {
  const Summary s = summary_of(values);
  return {
      {"values", values}, {"mean", s.mean}, {"deviation", s.count > 1 ? ordered_json(s.deviation) : ordered_json()}, {"min", s.low}, {"max", s.high}};
}

/// The same with the seeds, where some runs of the variant lack the metric.
ordered_json numbers(const BySeed& found, const VariantFound& variant) {
  ordered_json out = numbers(found.values);
  if (found.seeds != variant.seeds) out["seeds"] = found.seeds;
  return out;
}

}  // namespace

Answer answer_of(const SweepPlan& plan, const std::vector<Found>& found) {
  const std::vector<Group> groups = groups_of(plan, found);
  Answer out{.baseline = plan.baseline, .looked_for = plan.difference};
  out.metric = deciding(plan, groups);
  out.higher_better = is_higher_better(plan, out.metric);
  out.metrics = metrics_of(groups, out.metric);
  out.curve = longest_curve(groups, out.metrics);
  out.same_start = begin_equal(groups);
  const Group* base = nullptr;
  for (const Group& group : groups) {
    if (group.name == plan.baseline) base = &group;
    if (group.found.empty()) continue;
    out.variants.push_back(summed_up(group));
    std::vector<double> whole;
    for (const Found* run : group.found) whole.push_back(run->seconds_per_step * static_cast<double>(run->steps));
    const double seconds = median(whole);
    if (out.variants.size() == 1 || seconds < out.equal_seconds) out.equal_seconds = seconds;
  }
  for (VariantFound& variant : out.variants) {
    const auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& each) { return each.name == variant.name; });
    for (const Found* run : group->found) {
      const auto curve = run->curves.find(out.curve);
      if (curve != run->curves.end() && !curve->second.empty() && run->seconds_per_step > 0)
        variant.equal_time.push_back(at_steps(curve->second, out.equal_seconds / run->seconds_per_step));
    }
  }
  std::vector<double> p;
  for (const Group& group : groups) {
    if (group.name == plan.baseline || out.metric.empty()) continue;
    out.comparisons.push_back(compared(*base, group, out));
    if (out.comparisons.back().test) p.push_back(out.comparisons.back().test->p);
  }
  const std::vector<double> corrected = holm(p);
  size_t next = 0;
  for (Comparison& comparison : out.comparisons) {
    if (!comparison.test) continue;
    comparison.p = corrected[next++];
    const double difference = out.looked_for > 0 ? out.looked_for : comparison.difference;
    comparison.seeds_needed = pairs_needed(comparison.test->differences.deviation, difference, 0.05 / static_cast<double>(p.size()));
  }
  return out;
}

ordered_json answer_json(const Answer& answer) {
  ordered_json variants = ordered_json::array(), comparisons = ordered_json::array();
  for (const VariantFound& variant : answer.variants) {
    ordered_json one = {{"variant", variant.name}, {"seeds", variant.seeds}, {"metrics", ordered_json::object()}};
    for (const auto& [name, values] : variant.values) one["metrics"][name] = numbers(values, variant);
    for (const auto& [name, values] : variant.starts) one["at_start"][name] = numbers(values, variant);
    if (!variant.equal_time.empty()) one["equal_time"] = numbers(variant.equal_time);
    one["seconds_per_step"] = variant.seconds_per_step;
    variants.push_back(std::move(one));
  }
  for (const Comparison& c : answer.comparisons) {
    ordered_json one = {{"variant", c.variant}, {"baseline", answer.baseline}, {"seeds", c.seeds}};
    if (!c.seeds.empty()) one["difference"] = c.difference;
    if (c.same_difference()) one["deviation"] = 0;
    if (c.test) {
      one.update({{"deviation", c.test->differences.deviation},
                  {"standard_error", c.test->error},
                  {"interval", {c.difference - c.test->half_width, c.difference + c.test->half_width}},
                  {"t", c.difference / c.test->error},
                  {"p", c.test->p},
                  {"p_holm", c.p},
                  {"unpaired_standard_error", c.test->unpaired_error},
                  {"unpaired_interval", {c.difference - c.test->unpaired_half_width, c.difference + c.test->unpaired_half_width}},
                  {"narrower", c.test->narrower() > 0 ? ordered_json(c.test->narrower()) : ordered_json()},
                  {"seeds_needed", c.seeds_needed}});
    }
    comparisons.push_back(std::move(one));
  }
  ordered_json out = {{"decide", answer.metric}, {"goal", answer.higher_better ? "max" : "min"}, {"baseline", answer.baseline}};
  if (answer.looked_for > 0) out["difference"] = answer.looked_for;
  if (!answer.curve.empty()) out["equal_time_seconds"] = answer.equal_seconds;
  out["variants"] = std::move(variants);
  out["comparisons"] = std::move(comparisons);
  return out;
}

}  // namespace flowrun::app
