#include "nodes/lib/tensor/loss/weight.h"

namespace flowrun::loss {

void Weight::give(const Tensor& value, const GroupContext& context, Loss& out, const Tensor& shown) const {
  const double factor = weight.at(context.step, context.run);
  const auto weighted = [&](const Tensor& x) { return !x.defined() || factor == 1 ? x : x.mul(factor); };
  out.value = weighted(value), out.shown = weighted(shown);
  out.has_value = true;
  out.per_part.reset(), out.parts.clear();
}

}  // namespace flowrun::loss
