// Parts of pipelines: nodes that are written once and used any number of times.
#pragma once

#include "graph/text/json.h"

namespace flowrun {

/// Whether a node stands for the nodes of a part: it has "use" in place of "type".
bool uses_part(const Value& node);

/// Replaces each node of `pipeline` that uses a part by the part's nodes: "large" by "large/crop", "large/flip" and so on,
/// with the part's let put in, and with connections, orders and streams under full names. What the ports of parts stand
/// for goes to "ports" of the pipeline, for validate(): { "large": { "image": "large/flip" }, "large/in": { "image": "decode" } }.
/// `parts`: the "parts" of the pipeline, or null. `visited`: of Substitution. Reads files of at most 1 MiB, makes at most
/// 2000 nodes. Every fault in a part says where the part is used.
void expand_parts(Value& pipeline, const Value* parts, size_t& visited, Diagnostics& faults);

}  // namespace flowrun
