// The evaluations of a pipeline, and the metrics that may be named as NODE.METRIC.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/check/entries.h"

namespace flowrun::app {

struct Evaluation {
  std::string name;
  const std::vector<std::string>* reports = nullptr;  // as in ReportNames; null: not known before the run
};

/// In the order of the file.
std::vector<Evaluation> evaluations_of(const CheckedPipeline& pipeline);

/// Why no evaluation reports a metric, and what may be meant.
struct NotReported {
  std::string message, hint;
};
/// For "NODE.METRIC". None: an evaluation reports it, or may do so.
std::optional<NotReported> not_reported(const std::vector<Evaluation>& evaluations, const std::string& metric);

}  // namespace flowrun::app
