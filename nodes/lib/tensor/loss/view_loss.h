// The common part of nodes whose losses compare views of a picture.
#pragma once

#include <initializer_list>
#include <string>

#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"
#include "nodes/lib/tensor/loss/views.h"
#include "nodes/lib/tensor/loss/weight.h"

namespace flowrun::loss {

const Choices& pair_choices();
/// With "own": each view has labels of its own.
const Choices& label_choices();
inline constexpr const char* pairs_brief =
    "Which views of a picture are compared with a target's view. all_but_same: all others. cross: the other large views. same: the same view.";

inline constexpr const char* label_pairs_brief =
    "Which views of a picture are compared with a target's view. all_but_same: all others. cross: the other large views. same: the same view. own: a "
    "view has labels of its own, as many for each, side by side; their mean counts.";

/// Throws NodeError unless student and target have equally many views (a multiple, if they are "own"), and as many as the pairs need.
void require_views(int64_t student, int64_t target, const std::string& pairs);

/// The same before a run, for these inputs, whose widths must be equal, too.
void check_views(NodePlan& plan, const std::string& student, const std::string& target, const std::string& pairs);

/// A fault before a run of an input that does not have two views of each picture.
void check_two_views(NodePlan& plan, const std::string& input);

/// For a whole node: every rank gets the rows of these inputs.
void plan_gathered(NodePlan& plan, std::initializer_list<const char*> inputs);

}  // namespace flowrun::loss
