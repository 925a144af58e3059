// verify: repeats the ledgers of a run, to check that its data are unchanged.
#include "tools/app/results/verify.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/app/results/hex.h"
#include "tools/app/results/past_run.h"
#include "tools/app/run/progress.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

int64_t number(const std::string& text, const std::string& option) {
  size_t end = 0;
  int64_t value = 0;
  try {
    value = std::stoll(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end == 0 || end != text.size() || value < 1) throw PipelineError("error: " + option + " takes steps from 1 on, not \"" + text + "\"");
  return value;
}

/// The reported steps from FIRST to LAST.
std::vector<int64_t> reported(const PastRun& past, int64_t first, int64_t last) {
  std::vector<int64_t> out;
  for (auto at = past.steps.lower_bound(first); at != past.steps.end() && at->first <= last; ++at) out.push_back(at->first);
  return out;
}

std::vector<int64_t> choose(const PastRun& past, const VerifyArgs& args) {
  if (past.steps.empty()) throw PipelineError("error: " + past.paths.metrics.string() + " has no ledger to compare with");
  if (args.step > 0) {
    if (!past.steps.contains(args.step)) throw PipelineError("error: " + past.not_reported(args.step));
    return {args.step};
  }
  if (!args.steps.empty()) {
    const size_t colon = args.steps.find(':');
    if (colon == std::string::npos) throw PipelineError("error: --steps takes FIRST:LAST, not \"" + args.steps + "\"");
    const int64_t first = number(args.steps.substr(0, colon), "--steps"), last = number(args.steps.substr(colon + 1), "--steps");
    std::vector<int64_t> steps = reported(past, first, last);
    if (steps.empty()) {
      throw PipelineError("error: no step from " + std::to_string(first) + " to " + std::to_string(last) +
                          " was reported: those that were lie between " + std::to_string(past.steps.begin()->first) + " and " +
                          std::to_string(past.steps.rbegin()->first));
    }
    return steps;
  }
  constexpr size_t spread = 4;
  const std::vector<int64_t> all = reported(past, 1, INT64_MAX);
  std::vector<int64_t> out;
  for (size_t i = 0; i < spread; ++i) out.push_back(all[i * (all.size() - 1) / spread]);
  out.push_back(all.back());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

struct Compared {
  int64_t step;
  uint64_t expected, found;
  std::string reason;  // of a difference
};

/// Steps that follow each other are one segment: the threads need not wait between them.
std::vector<Compared> compare(const PastRun& past, RepeatedRun& again, const std::vector<int64_t>& steps) {
  std::vector<Compared> out;
  for (size_t begin = 0, end = 0; begin < steps.size(); begin = end) {
    for (end = begin + 1; end < steps.size() && steps[end] == steps[end - 1] + 1;) ++end;
    const std::map<int64_t, uint64_t> found = again.ledgers(steps[begin], steps[end - 1]);
    for (size_t i = begin; i < end; ++i) {
      Compared step{steps[i], past.steps.at(steps[i]).ledger, found.at(steps[i]), ""};
      if (step.expected != step.found) step.reason = again.reason(steps[i]);
      out.push_back(std::move(step));
    }
  }
  return out;
}

ordered_json to_json(const std::string& run, const std::vector<Compared>& steps, bool equal, bool same_data) {
  ordered_json list = ordered_json::array();
  for (const Compared& step : steps) {
    ordered_json entry = {{"step", step.step}, {"expected", hex(step.expected)}, {"found", hex(step.found)}, {"equal", step.expected == step.found}};
    if (!step.reason.empty()) entry["reason"] = step.reason;
    list.push_back(std::move(entry));
  }
  return {{"run", run}, {"equal", equal}, {"same_data", same_data}, {"steps", list}};
}

}  // namespace

int verify(const VerifyArgs& args) {
  PastRun past(args.run, args.trust);
  const std::vector<int64_t> steps = choose(past, args);
  Progress progress(args.json);
  int64_t done = 0;
  RepeatedRun again(past, {.threads = args.threads,
                           .on_step = [&](int64_t) { progress.working("verifying", ++done, static_cast<int64_t>(steps.size()), "steps"); }});
  const std::vector<Compared> compared = compare(past, again, steps);
  progress.clear();
  const auto differs = [](const Compared& step) { return step.expected != step.found; };
  const bool same_data = again.changed_data().empty();
  const auto differing = std::count_if(compared.begin(), compared.end(), differs);
  if (args.json) {
    std::cout << json_text(to_json(args.run, compared, differing == 0, same_data), 2) << "\n";
    return differing == 0 && same_data ? 0 : exit_failed;
  }
  for (const Compared& step : compared) {
    std::printf("step %lld: %s, %s\n", static_cast<long long>(step.step), hex(step.found).c_str(),
                differs(step) ? ("but the run had " + hex(step.expected)).c_str() : "as in the run");
  }
  if (differing == 0) {
    std::printf("%s: all %zu ledgers are those of the run%s\n", args.run.c_str(), compared.size(), same_data ? "" : ", but the data are not");
    return same_data ? 0 : exit_failed;
  }
  const auto first = std::find_if(compared.begin(), compared.end(), differs);
  std::printf("%s: %lld of %zu ledgers differ, the first at step %lld\n  %s\n", args.run.c_str(), static_cast<long long>(differing), compared.size(),
              static_cast<long long>(first->step), first->reason.c_str());
  return exit_failed;
}

}  // namespace flowrun::app
