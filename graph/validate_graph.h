// The second half of validation: connections, scopes, streams, order. Included by validate.cpp only.
#pragma once

#include <vector>

#include "graph/validate.h"

namespace flowrun {

/// Connects the ports of `pipeline.nodes` as their JSON objects say, sorts the nodes and finds their streams. `broken`
/// are nodes whose type is unknown: references to them are no further faults. `ports`: of parts, as expand_parts() leaves
/// them, or null.
void connect_nodes(const std::vector<const Value*>& objects, const Value* ports, const std::vector<std::string>& broken, CheckedPipeline& pipeline,
                   Diagnostics& faults);

/// Level of a scope's records: 0 sample, 1 group, 2 step, 3 evaluation.
int level_of(Scope scope);

}  // namespace flowrun
