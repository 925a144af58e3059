// The factor of a loss where loss.sum adds several.
#pragma once

#include "nodes/lib/tensor/optim/value.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::loss {

/// The parameter "weight" of losses. Params of a node are it, or derive from it and describe it last.
struct Weight {
  train::Value weight{1, not_negative};
  void describe(auto& param) { param("weight", weight, weight.range, "Factor of this loss, where loss.sum adds several."); }

  /// For the node's variant().
  int64_t variant(const GroupContext& context) const { return weight.variant(context.step, context.run); }
  /// Fills `out` with a loss without parts; `shown` is reported in its place where it is defined.
  void give(const Tensor& value, const GroupContext& context, Loss& out, const Tensor& shown = {}) const;
};

}  // namespace flowrun::loss
