// Outputs and attention of single blocks of a vision transformer, beside its tokens.
#pragma once

#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// Outputs of some blocks: all tokens that the pass saw, class token and registers first. With a gradient history if the pass records one.
struct BlockTaps {
  static constexpr const char* type_name = "block outputs";
  std::vector<int64_t> blocks;  // 1-based, increasing
  std::vector<Tensor> values_BSD;
  int64_t prefix = 0;  // tokens before the patches
  int64_t views = 1;
  void release() { values_BSD.clear(); }
};

/// Queries, keys and values of the attention of some blocks; likewise.
struct AttentionTaps {
  static constexpr const char* type_name = "attention";
  std::vector<int64_t> blocks;
  std::vector<model::AttentionTap> values;
  int64_t views = 1;
  void release() { values.clear(); }
};

}  // namespace flowrun
