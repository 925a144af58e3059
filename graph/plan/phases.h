// The order of a group's nodes around whole nodes, at which all groups of a step meet.
#pragma once

#include <vector>

#include "graph/check/entries.h"

namespace flowrun {

/// When the nodes of a stream's groups run. A phase is the number of barriers that a group has passed; whole nodes that don't wait for
/// each other share one.
struct Phases {
  int barriers = 0;
  std::vector<int> of;     // per node; of a whole node: in which it takes groups, its outputs are there one later
  std::vector<int> again;  // per node: the phase in which it runs a second time; -1: it runs once

  bool twice(int n) const { return again[static_cast<size_t>(n)] >= 0; }
};

/// With run.coupling "keep" every node runs once, as soon as it can. With "again" what leads to a whole node runs without gradients, and
/// once more behind the barrier if nodes there read it; all that leads to none waits for the last barrier. So the results of one group
/// at a time have a gradient history.
Phases find_phases(const CheckedPipeline& pipeline, int source);

}  // namespace flowrun
