// What feeds the models, cut out of a pipeline.
#pragma once

#include "graph/validate.h"

namespace flowrun::tool {

/// The source, sample and batch nodes of a source's stream as a pipeline of its own, on the CPU; with `on_device` also
/// the device nodes that use no model and follow from those alone (uploads, mixing). Lengths and random streams stay.
/// `wanted` says which nodes of `all` are kept, with all that they descend from; empty: every one.
CheckedPipeline input_side(CheckedPipeline all, int source, bool on_device, const std::vector<bool>& wanted = {});

/// Marks what the marked nodes descend from.
void mark_ancestors(const CheckedPipeline& pipeline, std::vector<bool>& marked);

}  // namespace flowrun::tool
