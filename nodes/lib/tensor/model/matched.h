// Vectors of the places that two views of a picture share.
#pragma once

#include "nodes/lib/tensor/model/attention_pool.h"
#include "nodes/lib/tensor/types/device_matches.h"

namespace flowrun::model {

enum class MatchSide { from, to };

/// One row for each valid place, pair by pair, [n, D]: of the drawn cells in the first views, or of what lies there in the second. The
/// tokens [pictures x views, N, D] are those of the views of this side, row = picture * views + view. Throws std::invalid_argument,
/// naming the numbers, for tokens of other views or grids.
Tensor matched(const AttentionPool& pool, const Tensor& patch_BND, const DeviceMatches& matches, MatchSide side);

}  // namespace flowrun::model
