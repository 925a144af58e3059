#include "nodes/lib/tensor/model/tap_params.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace flowrun::model {

std::optional<ParamFault> TapParams::check() const {
  const auto increases = [](const std::vector<int64_t>& list) {
    return std::adjacent_find(list.begin(), list.end(), std::greater_equal()) == list.end();
  };
  if (!increases(blocks)) return ParamFault{"blocks", "blocks must increase"};
  if (!increases(attention)) return ParamFault{"attention", "attention must increase"};
  return {};
}

void TapParams::plan(NodePlan& plan, const Encoder& encoder, const std::string& name, double images, double tokens) const {
  const int64_t depth = encoder.shape().depth, heads = encoder.shape().heads;
  const auto width = static_cast<double>(encoder.shape().width);
  for (const auto& [at, list] : {std::pair{"blocks", &blocks}, {"attention", &attention}}) {
    if (list->empty()) continue;
    if (!encoder.takes_patches()) plan.fault(at, name + " has no blocks with attention", "give this node a vision transformer");
    if (list->back() > depth)
      plan.fault(at, "block " + std::to_string(list->back()) + " is asked for, but " + name + " has " + std::to_string(depth));
  }
  Planned& outputs = plan.out["blocks"];
  outputs = Planned::of({images * static_cast<double>(blocks.size()), tokens, width}, "float32", 4);
  outputs.width = width, outputs.rows = images, outputs.parts = blocks;
  outputs.prefix = static_cast<double>(encoder.shape().prefix), outputs.class_token = encoder.shape().class_token ? 1 : 0;
  Planned& taps = plan.out["attention"];
  taps = Planned::of({images * static_cast<double>(attention.size()), 3, tokens, width}, plan.group.product(), plan.group.element);
  // Rows: tokens. Parts: heads, then the blocks.
  taps.width = width, taps.rows = tokens, taps.parts = {heads};
  taps.prefix = outputs.prefix, taps.class_token = outputs.class_token;
  taps.parts.insert(taps.parts.end(), attention.begin(), attention.end());
}

void TapParams::give(Tokens& tokens, const Encoder& encoder, int64_t views, BlockTaps& outputs, AttentionTaps& taps) const {
  outputs = {.blocks = blocks, .values_BSD = std::move(tokens.outputs_BSD), .prefix = encoder.shape().prefix, .views = views};
  taps = {.blocks = attention, .values = std::move(tokens.attention), .views = views};
}

}  // namespace flowrun::model
