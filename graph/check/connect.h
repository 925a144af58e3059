// The second half of validation: connections, scopes, streams, order.
#pragma once

#include <vector>

#include "graph/check/entries.h"

namespace flowrun {

/// Connects the ports of `pipeline.nodes` as their JSON objects say, sorts the nodes and finds their streams. `broken`
/// are nodes whose type is unknown: references to them are not reported again. `ports`: of parts, as expand_parts() leaves
/// them, or null.
void connect_nodes(const std::vector<const Value*>& objects, const Value* ports, const std::vector<std::string>& broken, CheckedPipeline& pipeline,
                   Diagnostics& faults);

}  // namespace flowrun
