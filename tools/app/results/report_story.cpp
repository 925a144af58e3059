#include "tools/app/results/report_story.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/contract/direction.h"
#include "tools/app/json_files.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// The nodes that an entry's inputs come from.
std::vector<std::string> sources_of(const ordered_json& node) {
  std::vector<std::string> out;
  const auto add = [&](const ordered_json& from) {
    if (from.is_string()) out.push_back(from.get<std::string>().substr(0, from.get<std::string>().rfind('.')));
  };
  const auto in = node.find("in");
  if (in == node.end()) return out;
  if (!in->is_object()) return add(*in), out;
  for (const auto& [port, from] : in->items()) {
    add(from);
    if (from.is_array()) std::for_each(from.begin(), from.end(), add);
  }
  return out;
}

/// Whether a node, or one that it descends from, names a model.
bool uses_model(const ordered_json& nodes, const std::string& name, std::set<std::string>& seen) {
  const auto node = nodes.find(name);
  if (node == nodes.end() || !node->is_object() || !seen.insert(name).second) return false;
  if (node->contains("model")) return true;
  const std::vector<std::string> before = sources_of(*node);
  return std::any_of(before.begin(), before.end(), [&](const std::string& source) { return uses_model(nodes, source, seen); });
}

/// An evaluation of bare inputs.
bool is_baseline(const RunFacts& facts, const std::string& node) {
  if (!facts.pipeline.is_object() || !facts.pipeline.contains("nodes")) return false;
  std::set<std::string> seen;
  return facts.pipeline["nodes"].contains(node) && !uses_model(facts.pipeline["nodes"], node, seen);
}

std::string type_of(const RunFacts& facts, const std::string& node) {
  if (!facts.pipeline.is_object() || !facts.pipeline.contains("nodes") || !facts.pipeline["nodes"].contains(node)) return "";
  return words_at(facts.pipeline["nodes"][node], "type");
}

Told tell(const std::string& node, const std::vector<ordered_json>& rows) {
  Told out{.node = node, .value = main_value(rows.back())};
  for (const ordered_json& row : rows) {
    const ordered_json found = number_at(row, out.value), at = number_at(row, "step");
    if (found.is_null()) continue;
    const auto value = std::optional(found.get<double>());
    const int64_t step = at.is_null() ? 0 : at.get<int64_t>();
    if (step == 0) {
      out.start = value;
      continue;
    }
    out.last = value, out.last_step = step;
    if (!out.best || out.is_better(*value, *out.best)) out.best = value, out.best_step = step;
  }
  return out;
}

/// "rose from 63.6 % (random weights) to 96.3 %"
std::string course(const Told& told) {
  const double change = *told.last - *told.start;
  const std::string from = told_value(told, *told.start), to = told_value(told, *told.last);
  const bool same = std::abs(change) < (told.is_share() ? 0.005 : 1e-3 * std::abs(*told.start));
  if (same) return "stayed at " + to + " (before training: " + from + ")";
  return std::string(change > 0 ? "rose" : "fell") + " from " + from + " before training to " + to;
}

Verdict of_evaluation(const Told& told) {
  std::string text = told.node + " " + told.value + " " + course(told);
  const double least = told.is_share() ? 0.005 : 0;
  const bool improved = told.is_better(*told.last, *told.start) && std::abs(*told.last - *told.start) > least;
  Mood mood = improved ? Mood::good : Mood::bad;
  if (told.pixels) {
    const bool above = told.is_better(*told.last, *told.pixels);
    text += std::string(above ? ", better than" : ", not better than") + " bare pixels (" + told_value(told, *told.pixels) + ")";
    if (!above && mood == Mood::good) mood = Mood::doubtful;
  }
  if (told.is_share() && std::abs(*told.best - *told.last) > 0.01) {
    text += "; it was " + told_value(told, *told.best) + " after step " + std::to_string(told.best_step);
    if (mood == Mood::good) mood = Mood::doubtful;
  }
  return {mood, text};
}

std::optional<Verdict> of_loss(const RunFacts& facts) {
  const auto found = facts.metrics.find("loss");
  if (found == facts.metrics.end() || found->second.count() < 3) return {};
  const auto& buckets = found->second.buckets();
  const auto first = std::find_if(buckets.begin(), buckets.end(), [](const Curve::Bucket& b) { return b.count > 0; });
  const auto last = std::find_if(buckets.rbegin(), buckets.rend(), [](const Curve::Bucket& b) { return b.count > 0; });
  const double from = first->mean(), to = last->mean();
  const bool fell = to < from;
  return Verdict{fell ? Mood::good : Mood::doubtful,
                 std::string("the loss ") + (fell ? "fell" : "rose") + " from " + short_number(from) + " to " + short_number(to)};
}

/// Of report.health: NAME_ok is 1 or 0.
std::vector<Verdict> of_health(const RunFacts& facts) {
  std::vector<Verdict> out;
  for (const auto& [name, curve] : facts.metrics) {
    if (!name.ends_with("_ok") || curve.count() == 0) continue;
    const std::string node = name.substr(0, name.size() - 3);
    const auto& buckets = curve.buckets();
    const auto fault = std::find_if(buckets.begin(), buckets.end(), [](const Curve::Bucket& b) { return b.count > 0 && b.low < 1; });
    if (fault == buckets.end()) {
      out.push_back({Mood::good, "features stayed healthy (" + node + ")"});
    } else if (curve.last() >= 1) {
      out.push_back({Mood::doubtful, node + " saw features collapse about step " + short_number(fault->x) + ", and recover"});
    } else {
      out.push_back({Mood::bad, node + " sees collapsed features since about step " + short_number(fault->x)});
    }
  }
  return out;
}

}  // namespace

const char* mood_name(Mood mood) { return mood == Mood::good ? "good" : mood == Mood::doubtful ? "doubtful" : "bad"; }

bool Told::is_better(double a, double b) const { return more_is_better(value) ? a > b : a < b; }

bool Told::is_share() const { return flowrun::is_share(value); }

std::string told_value(const Told& of, double value) { return of.is_share() ? print("%.1f %%", 100 * value) : short_number(value); }

std::vector<Told> told_evaluations(const RunFacts& facts) {
  std::vector<Told> out, baselines;
  for (const auto& [node, rows] : facts.evaluations) {
    if (rows.empty() || main_value(rows.back()).empty()) continue;
    (is_baseline(facts, node) ? baselines : out).push_back(tell(node, rows));
  }
  for (Told& told : out) {
    for (const Told& baseline : baselines) {
      if (told.pixels || baseline.value != told.value || type_of(facts, baseline.node) != type_of(facts, told.node)) continue;
      told.pixels = baseline.last ? baseline.last : baseline.start, told.pixels_node = baseline.node;
    }
  }
  return out;
}

std::vector<Verdict> verdict(const RunFacts& facts, const std::vector<Told>& evaluations) {
  std::vector<Verdict> out;
  if (words_at(facts.result, "status") == "failed") out.push_back({Mood::bad, "the run failed: its error stands below"});
  for (const Told& told : evaluations) {
    if (told.start && told.last) out.push_back(of_evaluation(told));
  }
  for (Verdict& health : of_health(facts)) out.push_back(std::move(health));
  if (const auto loss = of_loss(facts)) out.push_back(*loss);
  return out;
}

}  // namespace flowrun::app
