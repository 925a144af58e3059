// For measuring only: nodes that replay their first output, so that the rest of the graph shows how fast it could be without
// waiting for them.
#pragma once

#include <list>
#include <string>
#include <vector>

#include "graph/plan/lower.h"

namespace flowrun {

class Stubs {
 public:
  /// Changes the plan so that records keep the outputs of the nodes `names`. Throws PipelineError when there is no such node,
  /// or when it has no outputs (a step or evaluation node).
  Stubs(const CheckedPipeline& pipeline, Plan& plan, const std::vector<std::string>& names);

  /// The named nodes and the nodes whose only readers are skipped.
  bool skips(int node) const { return skipped_[static_cast<size_t>(node)]; }

 private:
  void skip_ancestors(const CheckedPipeline& pipeline);
  void keep_outputs(LevelPlan& plan, const CheckedPipeline& pipeline);

  std::vector<bool> named_, skipped_;
  std::list<TypeOps> kept_;  // like the originals, but nothing is released
};

}  // namespace flowrun
