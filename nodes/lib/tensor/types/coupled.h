// The part of a loss over the whole batch that each group of a step gets.
#pragma once

#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// A loss over the rows of all groups of a step, as a group sees it. One entry for each input of the loss that is trained on.
struct Coupled {
  static constexpr const char* type_name = "coupled loss";
  Tensor shown;                   // its value, float32, the same in all groups
  std::vector<Tensor> rows_nD;    // the group's rows as the loss took them
  std::vector<Tensor> slopes_nD;  // its gradient by these rows, times the groups of the step: losses are means over groups
  void release() { shown.reset(), rows_nD.clear(), slopes_nD.clear(); }
  static void plan(const PlannedGroup&, Planned& out) { out = Planned::of({1}, "float32", 4); }
};

}  // namespace flowrun
