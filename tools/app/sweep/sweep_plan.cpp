#include "tools/app/sweep/sweep_plan.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "graph/contract/direction.h"
#include "tools/app/load/evaluations.h"
#include "tools/app/load/shipped.h"
#include "tools/app/sweep/grid.h"
#include "tools/app/sweep/sweep_file.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> pipelines_in(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".json" && !path.filename().string().starts_with("_") && !path.string().ends_with(".sweep.json"))
      out.push_back(path.string());
  }
  std::sort(out.begin(), out.end());
  if (out.empty()) throw PipelineError("error: " + folder + ": no pipelines (*.json) are in it");
  return out;
}

std::vector<SweepGroup> listed(const SweepArgs& args, SweepPlan& plan) {
  std::vector<std::string> paths;
  for (const std::string& file : args.files) {
    if (fs::is_directory(file)) {
      for (const std::string& path : pipelines_in(file)) paths.push_back(path);
    } else {
      if (!fs::exists(file)) throw PipelineError("error: " + file + ": there is no such file");
      if (is_sweep_file(file, false)) throw PipelineError("error: " + file + " is a sweep file: give it alone, or pipelines");
      paths.push_back(file);
    }
  }
  const fs::path first = args.files[0].ends_with("/") ? fs::path(args.files[0]).parent_path() : fs::path(args.files[0]);
  plan.name = "compare/" + first.stem().string();
  std::vector<SweepGroup> out;
  for (const std::string& path : paths) {
    const std::string name = folder_name(fs::path(path).stem().string());
    const auto same = std::find_if(out.begin(), out.end(), [&](const SweepGroup& group) { return group.name == name; });
    if (same != out.end())
      throw PipelineError("error: " + same->pipeline.file + " and " + path + " would both be " + name + ": name them as variants of a sweep file");
    out.push_back({name, {.file = path, .sets = args.sets}});
  }
  return out;
}

/// Seeds of the text of --seeds. Throws PipelineError.
std::vector<int64_t> seeds_of(std::string text) {
  const auto wrong = [&](const std::string& why) {
    return PipelineError("error: --seeds " + text + ": " + why +
                         "\n  a count such as 3 (the seeds 0, 1, 2), or a list such as 0,1,5 ([7] for the seed 7 alone)");
  };
  const bool brackets = text.size() > 1 && text.front() == '[' && text.back() == ']';
  const std::string inside = brackets ? text.substr(1, text.size() - 2) : text;
  std::vector<int64_t> out;
  for (size_t begin = 0; begin <= inside.size();) {
    const size_t end = std::min(inside.find(',', begin), inside.size());
    const size_t first = std::min(inside.find_first_not_of(' ', begin), end);
    int64_t seed = -1;
    const auto [rest, error] = std::from_chars(inside.data() + first, inside.data() + end, seed);
    if (error != std::errc() || rest != inside.data() + end || seed < 0) throw wrong("a seed is an integer of at least 0");
    if (std::find(out.begin(), out.end(), seed) != out.end()) throw wrong("the seed " + std::to_string(seed) + " is listed twice");
    out.push_back(seed);
    begin = end + 1;
  }
  if (brackets || out.size() > 1) return out;
  const int64_t count = out[0];
  if (count < 1 || count > static_cast<int64_t>(most_runs)) throw wrong("a count is at least 1");
  out.clear();
  for (int64_t s = 0; s < count; ++s) out.push_back(s);
  return out;
}

void make_runs(const SweepArgs& args, const std::vector<SweepGroup>& groups, SweepPlan& plan) {
  for (const SweepGroup& group : groups) plan.variants.push_back(group.name);
  const std::vector<int64_t> once = {0};
  if (groups.size() * std::max<size_t>(1, plan.seeds.size()) > most_runs)
    throw PipelineError("error: the sweep has more than " + std::to_string(most_runs) + " runs");
  for (const int64_t seed : plan.seeds.empty() ? once : plan.seeds) {
    for (const SweepGroup& group : groups) {
      Variant run{.name = group.name, .pipeline = group.pipeline, .variant = group.name};
      run.pipeline.trust = args.trust;
      if (!plan.seeds.empty()) {
        run.seed = seed;
        run.name += "-seed" + std::to_string(seed);
        run.pipeline.sets.push_back("seed=" + std::to_string(seed));
      }
      plan.runs.push_back(std::move(run));
    }
  }
  if (!plan.seeds.empty()) plan.changed.insert("seed");
  std::set<std::string> names;  // a variant may be called "a-seed0"
  for (const Variant& run : plan.runs) {
    if (!names.insert(run.name).second) throw PipelineError("error: two runs would have the folder " + run.name + ": rename a variant");
  }
}

/// The accuracy of the first evaluation that reports one, or may do so; or another share of 1; or the loss.
std::string metric_of(const std::vector<Evaluation>& evaluations) {
  for (const Evaluation& evaluation : evaluations) {
    if (evaluation.may_report("accuracy")) return evaluation.name + ".accuracy";
    const auto share = std::find_if(evaluation.reports->begin(), evaluation.reports->end(), is_share);
    if (share != evaluation.reports->end()) return evaluation.name + "." + *share;
  }
  return "loss";
}

}  // namespace

SweepPlan plan_sweep(const SweepArgs& given) {
  SweepArgs args = given;
  for (std::string& file : args.files) file = pipeline_named(file);
  const bool one_file = args.files.size() == 1 && !fs::is_directory(args.files[0]);
  SweepPlan plan;
  std::vector<SweepGroup> groups;
  if (one_file && is_sweep_file(args.files[0], true)) {
    SweepFile file = read_sweep_file(args.files[0], args);
    plan = std::move(file.plan);
    groups = std::move(file.groups);
  } else {
    groups = listed(args, plan);
  }
  if (!args.seeds.empty()) plan.seeds = seeds_of(args.seeds);
  for (const std::string& set : args.sets) {
    if (path_of(set) == "seed" && !plan.seeds.empty()) throw PipelineError("error: --set " + set + " would be without effect: seeds set it");
  }
  if (!args.decide.empty()) plan.decide = args.decide;
  if (!args.baseline.empty()) plan.baseline = args.baseline;
  if (!args.goal.empty()) plan.higher_better = args.goal == "max";
  if (args.difference > 0) plan.difference = args.difference;
  make_runs(args, groups, plan);
  if (plan.baseline.empty()) plan.baseline = plan.variants[0];
  if (std::find(plan.variants.begin(), plan.variants.end(), plan.baseline) == plan.variants.end())
    throw PipelineError("error: the baseline \"" + plan.baseline + "\" is no variant\n  " + did_you_mean(plan.baseline, plan.variants) +
                        "there are " + join(plan.variants));
  return plan;
}

void check_variants(SweepPlan& plan) {
  std::vector<Evaluation> evaluations;
  for (size_t v = 0; v < plan.variants.size(); ++v) {  // the runs of the first seed
    try {
      const std::vector<Evaluation> more = evaluations_of(load_checked(plan.runs[v].pipeline));
      evaluations.insert(evaluations.end(), more.begin(), more.end());
    } catch (const PipelineError& error) {
      throw PipelineError("variant " + plan.variants[v] + (plan.path.empty() ? "" : " of " + plan.path) + ":\n" + error.what());
    }
  }
  if (plan.decide.empty()) {
    plan.chosen = true;
    plan.decide = metric_of(evaluations);
    return;
  }
  if (plan.decide == "loss") return;
  if (node_of(plan.decide).empty())
    throw PipelineError("error: decide \"" + plan.decide + "\" must be NODE.METRIC of an evaluation, such as knn.accuracy, or loss");
  if (const auto fault = not_reported(evaluations, plan.decide))
    throw PipelineError("error: decide \"" + plan.decide + "\": " + fault->message + "\n  " + fault->hint);
}

bool is_higher_better(const SweepPlan& plan, const std::string& metric) {
  if (plan.higher_better) return *plan.higher_better;
  return more_is_better(metric);
}

}  // namespace flowrun::app
