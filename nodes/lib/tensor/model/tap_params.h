// The common part of nodes that hand out what blocks of a vision transformer make.
#pragma once

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/block_taps.h"

namespace flowrun::model {

/// The parameters "blocks" and "attention" of nodes that run an encoder.
struct TapParams {
  std::vector<int64_t> blocks, attention;
  void describe(auto& param) {
    param("blocks", blocks, positive, "Blocks of a vision transformer whose output goes out, 1-based and increasing.");
    param("attention", attention, positive, "Blocks whose queries, keys and values go out, likewise.");
  }
  std::optional<ParamFault> check() const;
  /// Blocks that the encoder, `name` in the pipeline, lacks; and what goes out: `tokens` of each of so many images.
  void plan(NodePlan& plan, const Encoder& encoder, const std::string& name, double images, double tokens) const;
  /// Fills the outputs with what the pass handed out.
  void give(Tokens& tokens, const Encoder& encoder, int64_t views, BlockTaps& outputs, AttentionTaps& taps) const;
};

}  // namespace flowrun::model
