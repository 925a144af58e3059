// The evaluations of a pipeline, and the metrics that may be named as NODE.METRIC.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/check/entries.h"

namespace flowrun::app {

struct Evaluation {
  std::string name;
  std::optional<std::vector<std::string>> reports;  // as its type declares them (graph/node.h); none: not known before the run
  /// Whether a number of this name is among its reports, or may be.
  bool may_report(std::string_view metric) const;
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
