// What a node does once evaluations have reported, while models are still as they were evaluated.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "graph/contract/context.h"

namespace flowrun {

/// What each evaluation node found, by its name. Ranks other than the first may have found nothing.
using Findings = std::map<std::string, Reports>;

/// While it lives, `work` is done after the evaluations of each step of that run, on the device's thread, with the context of that step;
/// step 0 is before training. Collective: on all ranks. Made in open().
class AfterEvaluations {
 public:
  using Work = std::function<void(const StepContext& context, const Findings& found)>;

  AfterEvaluations(const RunInfo& run, Work work);
  ~AfterEvaluations();
  AfterEvaluations(const AfterEvaluations&) = delete;
  AfterEvaluations& operator=(const AfterEvaluations&) = delete;

  /// Does the work of all that live for the context's run, in the order in which they were made.
  static void run(const StepContext& context, const Findings& found);

 private:
  const RunInfo* run_;
  Work work_;
};

}  // namespace flowrun
