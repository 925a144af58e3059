// For measuring only: nodes that give again what they gave first, so that the rest of the graph shows what it could do
// without waiting for them.
#pragma once

#include <list>
#include <string>
#include <vector>

#include "graph/plan/lower.h"

namespace flowrun {

class Stubs {
 public:
  /// Changes the plan so that records keep what `names` gave. Throws PipelineError when there is no such node, or when it
  /// is one that gives nothing (a step or evaluation node).
  Stubs(const CheckedPipeline& pipeline, Plan& plan, const std::vector<std::string>& names);

  /// The named ones, and those that work only for them.
  bool skips(int node) const { return skipped_[static_cast<size_t>(node)]; }

 private:
  void skip_ancestors(const CheckedPipeline& pipeline);
  void keep_outputs(LevelPlan& plan, const CheckedPipeline& pipeline);

  std::vector<bool> named_, skipped_;
  std::list<TypeOps> kept_;  // like the originals, but nothing is released
};

}  // namespace flowrun
