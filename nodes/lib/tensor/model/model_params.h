// Shared by model types of pipelines: parameters, checks, initial values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/node.h"
#include "nodes/lib/tensor/model/module_type.h"
#include "nodes/lib/tensor/model/rotary.h"

namespace flowrun {

/// "blocks" and "out" of the predictors: the blocks to predict, and the width of the output.
struct PredictorOutput {
  std::vector<int64_t> blocks;
  int64_t out = 0;

  void describe(auto& param) {
    param("blocks", blocks, positive, "Hidden blocks of the teacher to predict, 1-based and increasing; the output has one encoder width for each.");
    param("out", out, not_negative,
          "Values per target patch when no blocks are given: the width for merged blocks, 768 for pixels of 16x16 patches.");
  }
  std::optional<ParamFault> check() const;
  int64_t width(int64_t encoder_width) const { return out > 0 ? out : static_cast<int64_t>(blocks.size()) * encoder_width; }
};

/// The seed of a model's initial weights: models of different names have different initial weights, independent of
/// other models.
uint64_t weight_seed(const OpenContext& context);

/// Throws NodeError when the training data have more classes than a head, as far as the labels' table is known.
void require_classes(const RunInfo& run, int64_t classes);

/// Draws the initial values and moves the model to the device of the run.
void begin(model::Module& module, const OpenContext& context, const std::string& init = "ijepa");

/// "sincos", "learned", "rotary" or "rotary_capi".
model::Positions positions_named(const std::string& name);

/// The choices of a model's "init"; see model::InitScheme.
const Choices& init_choices();

}  // namespace flowrun
