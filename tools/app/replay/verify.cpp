#include "tools/app/replay/verify.h"

#include <algorithm>

#include "tools/app/replay/past_run.h"
#include "tools/app/results/hex.h"
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

}  // namespace

Verified verify(const VerifyArgs& args, Progress& progress) {
  PastRun past(args.run, args.trust);
  const std::vector<int64_t> steps = choose(past, args);
  int64_t done = 0;
  RepeatedRun again(past, {.threads = args.threads,
                           .on_step = [&](int64_t) { progress.working("verifying", ++done, static_cast<int64_t>(steps.size()), "steps"); }});
  Verified out{.steps = compare(past, again, steps), .same_data = true};
  progress.clear();
  out.same_data = again.changed_data().empty();
  return out;
}

}  // namespace flowrun::app
