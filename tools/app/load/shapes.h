// Sizes carried through a pipeline before anything runs: models are opened with shapes alone, and each node is asked with what those
// before it give.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "graph/check/entries.h"
#include "graph/contract/planned.h"

namespace flowrun::app {

/// The models in their order, without values, and bound to the models and nodes that name them. Null where `failed` was told of a
/// model, and for models made of those.
std::vector<std::unique_ptr<Resource>> open_shapes(CheckedPipeline& pipeline,
                                                   const std::function<void(const CheckedModel&, const std::exception&)>& failed);

/// Asks nodes for their plans, one after the other: a node after those that it reads.
class ShapeWalk {
 public:
  /// `resources` are those of open_shapes(), and must outlive this.
  ShapeWalk(CheckedPipeline& pipeline, const std::vector<std::unique_ptr<Resource>>& resources) : pipeline_(pipeline), resources_(resources) {}

  /// `group`: sizes of the stream that the node works on, its images counted without views. A node whose models aren't open is not
  /// asked; nothing is known of its outputs.
  NodePlan ask(int n, PlannedGroup group);

 private:
  double shown_side(CheckedNode& node, const NodePlan& plan) const;
  void fill(const CheckedNode& node, size_t port, const NodePlan& plan, Planned& out) const;

  CheckedPipeline& pipeline_;
  const std::vector<std::unique_ptr<Resource>>& resources_;
  std::map<std::pair<int, int>, Planned> made_;  // by node and port
};

/// Faults of sizes: pictures that a model doesn't take, masks of another grid, heads of another width, blocks that an encoder lacks.
void check_shapes(CheckedPipeline& pipeline, const Value& text, Diagnostics& faults);

}  // namespace flowrun::app
