// The moment after evaluations have reported: models are still as they were evaluated.
#pragma once

#include <map>
#include <string>

#include "graph/contract/run_hook.h"

namespace flowrun {

/// Values by evaluation node. Ranks other than the first may have found nothing.
using Findings = std::map<std::string, Reports>;

/// Its work gets the context of the step that was evaluated; step 0 is before training. Collective: on all ranks, on the device's thread.
using AfterEvaluations = RunHook<struct EvaluationsMade, const StepContext&, const Findings&>;

}  // namespace flowrun
