#include "graph/contract/after_evaluations.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace flowrun {
namespace {

/// For all runs of the process.
struct All {
  std::mutex mutex;
  std::vector<const AfterEvaluations*> list;
};
All& all() {
  static All all;
  return all;
}

}  // namespace

AfterEvaluations::AfterEvaluations(const RunInfo& run, Work work) : run_(&run), work_(std::move(work)) {
  const std::lock_guard lock(all().mutex);
  all().list.push_back(this);
}

AfterEvaluations::~AfterEvaluations() {
  const std::lock_guard lock(all().mutex);
  std::erase(all().list, this);
}

void AfterEvaluations::run(const StepContext& context, const Findings& found) {
  std::vector<const AfterEvaluations*> of_run;
  {
    const std::lock_guard lock(all().mutex);
    std::copy_if(all().list.begin(), all().list.end(), std::back_inserter(of_run), [&](const auto* one) { return one->run_ == &context.run; });
  }
  for (const AfterEvaluations* const one : of_run) one->work_(context, found);
}

}  // namespace flowrun
