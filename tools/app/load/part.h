// Selects nodes of a pipeline that run alone.
#pragma once

#include <vector>

#include "graph/check/entries.h"

namespace flowrun::app {

/// Marks the source, sample and batch nodes of a source's stream; with `on_device` also the device nodes that use no
/// model and follow from those alone (uploads, mixing). `wanted`, unless it is empty, limits the selection.
std::vector<bool> input_side(const CheckedPipeline& all, int source, bool on_device, const std::vector<bool>& wanted = {});

/// Also marks all nodes that the marked nodes descend from.
void mark_ancestors(const CheckedPipeline& pipeline, std::vector<bool>& marked);

/// The source of the stream that trains, else the only one; -1: there are several.
int usual_source(const CheckedPipeline& pipeline);

/// The marked nodes as a pipeline of its own, which trains on `source`'s stream. They must not read other nodes.
/// Lengths and random streams stay.
CheckedPipeline part_of(CheckedPipeline all, int source, const std::vector<bool>& marked);

/// The same, on the host and in fp32.
CheckedPipeline host_part_of(CheckedPipeline all, int source, const std::vector<bool>& marked);

}  // namespace flowrun::app
