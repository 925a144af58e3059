// The order of nodes, and the streams that follow from it. Their ports are connected.
#pragma once

#include "graph/check/entries.h"

namespace flowrun {

/// Sorts the nodes so that each comes after those that it reads and follows; among these by scope, moment and name, whatever the
/// order in the file. False, with a fault, if they form a cycle.
bool sort_nodes(CheckedPipeline& pipeline, Diagnostics& faults);

/// Finds the sources that each node descends from, and the one that trains. Faults: streams that meet, a second one that trains,
/// samples that never become groups.
void find_streams(CheckedPipeline& pipeline, Diagnostics& faults);

/// Two nodes of one level that use a model, one of them writing, need a path between them.
void check_order(CheckedPipeline& pipeline, Diagnostics& faults);

}  // namespace flowrun
