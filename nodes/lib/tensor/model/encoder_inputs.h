// Faults of what goes into an encoder, as far as sizes tell before a run.
#pragma once

#include <string>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/model/encoder.h"

namespace flowrun::model {

/// For input "image": pictures of a size that the encoder, `name` in the pipeline, doesn't take, and noise without the time that it takes.
void check_images(NodePlan& plan, const Encoder& encoder, const std::string& name);

/// For input "mask": masks of another grid than `grid` x `grid`, which `name` has, or of another number of views than "image".
void check_grid(NodePlan& plan, int64_t grid, const std::string& name);

/// Patches per side of pictures of `side` pixels; of the usual side where it is 0.
double grid_of_side(const Encoder& encoder, double side);

/// For inputs "image" and "mask": an encoder without a mask token, and masks of another grid than the pictures have.
void check_hidden(NodePlan& plan, const Encoder& encoder, const std::string& name);

/// For parameter "pool": the class token of an encoder that has none.
void check_pool(NodePlan& plan, const Encoder& encoder, const std::string& pool, const std::string& name);

/// For parameter "blocks": a block that the encoder lacks. `blocks` increase.
void check_blocks(NodePlan& plan, const Encoder& encoder, const std::vector<int64_t>& blocks, const std::string& name);

}  // namespace flowrun::model
