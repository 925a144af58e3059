#include "nodes/lib/tensor/model/cost.h"

#include <algorithm>

namespace flowrun::model {
namespace {

constexpr double float32 = 4;

struct Block {
  double width, hidden;
  int element;
};

/// A block over `rows` tokens whose queries, projection and MLP take the last `out` of them. Kept: the input of each norm
/// and layer, the layers' copies in the type of products, and queries, keys and values of the attention.
Cost block_cost(const Block& block, double rows, double out) {
  const double d = block.width, h = block.hidden, e = block.element;
  Cost cost;
  cost.flops = 2 * (2 * rows * d * d + 2 * out * d * d + 2 * out * d * h) + 4 * out * rows * d;
  cost.saved = rows * d * (float32 + 3 * e) + out * d * (float32 + 3 * e) + 2 * out * h * e;
  cost.working = rows * (2 * float32 * d + e * std::max(4 * d, d + 2 * h));
  return cost;
}

/// Cost that adaptive norms add to a block: the layer that makes their rows, and the values that a scale and a gate keep.
Cost adaptive_cost(const Block& block, double rows, double out) {
  const double d = block.width, e = block.element;
  return {12 * d * d, 7 * e * d + e * d * (rows + 3 * out), 0};
}

/// The two layers behind the sinusoids of a time.
Cost time_cost(double width, int element) { return {8 * width * width, 6 * element * width, 0}; }

double hidden_of(double width, double ratio) { return width * ratio; }

}  // namespace

Cost encoder_cost(const VitConfig& config, double patches, const Pass& pass) {
  const auto width = static_cast<double>(config.width), hidden = hidden_of(width, config.mlp_ratio);
  const auto values = static_cast<double>(config.channels * config.patch * config.patch);
  const auto count = static_cast<double>(pass.blocks > 0 ? pass.blocks : config.depth);
  const double rows = patches + static_cast<double>(config.prefix()), read = pass.last_rows > 0 ? pass.last_rows : rows;
  const int element = pass.element;
  Cost cost;
  cost.flops = 2 * patches * values * width;
  cost.saved = element * patches * values;
  if (config.time) cost += time_cost(width, element);
  const auto block = [&](double out, double mlp) {
    const Block sizes{width, mlp, element};
    Cost one = block_cost(sizes, rows, out);
    if (config.time) one += adaptive_cost(sizes, rows, out);
    return one;
  };
  const Cost each = block(rows, hidden);
  Cost blocks = each.times(count - 1);
  blocks += block(read, pass.last_mlp ? hidden : 0);
  // A block that runs again keeps the stream and the branch that is to be added; what it keeps in its backward pass is there once. Its
  // second pass is a third of what forward and backward pass are.
  cost += config.recompute ? Cost{blocks.flops * 4 / 3, (float32 + element) * rows * width * count + each.saved, 0} : blocks;
  cost.working = each.working;
  cost.saved += float32 * read * width;  // the final norm's input
  return cost;
}

Cost text_cost(const TextConfig& config, int element) {
  const auto width = static_cast<double>(config.width), rows = static_cast<double>(config.context), count = static_cast<double>(config.depth);
  const Cost each = block_cost({width, hidden_of(width, config.mlp_ratio), element}, rows, rows);
  Cost cost = config.recompute ? Cost{each.flops * count * 4 / 3, (float32 + element) * rows * width * count + each.saved, 0} : each.times(count);
  cost.working = each.working;
  cost.saved += float32 * rows * width;  // the final norm's input
  return cost;
}

Cost classifier_cost(const ClassifierConfig& config) {
  return {2 * static_cast<double>(config.width) * static_cast<double>(config.classes), float32 * static_cast<double>(config.width + config.classes),
          0};
}

namespace {

/// Rows of a predictor's sequences: all of them, and those that are read out.
struct PredictorRows {
  double seen, sequences, rows, queries;
};

PredictorRows predictor_rows(const TransformerPredictorConfig& config, const MaskCounts& masks, int64_t prefix) {
  const double seen = masks.visible + static_cast<double>(prefix), queries = config.joint ? masks.tokens() : masks.patches;
  return {seen, config.joint ? 1 : masks.regions, seen + static_cast<double>(config.registers) + queries, queries};
}

/// A block of such a predictor over all rows, whose queries are `out` of them.
Cost predictor_block(const TransformerPredictorConfig& config, double rows, double out, int element) {
  const auto width = static_cast<double>(config.width);
  const Block block{width, hidden_of(width, config.mlp_ratio), element};
  Cost cost = block_cost(block, rows, out);
  if (config.time) cost += adaptive_cost(block, rows, out);
  return cost;
}

}  // namespace

Cost predictor_cost(const TransformerPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element) {
  const auto width = static_cast<double>(config.width), in = static_cast<double>(config.encoder_width);
  const auto [seen, sequences, rows, queries] = predictor_rows(config, masks, prefix);
  Cost cost{2 * seen * in * width, element * seen * in, 0};
  const Cost each = predictor_block(config, rows, rows, element).times(sequences);
  cost.flops += each.flops * static_cast<double>(config.depth - 1), cost.saved += each.saved * static_cast<double>(config.depth - 1);
  cost += predictor_block(config, rows, queries, element).times(sequences);
  if (config.time) cost += time_cost(width, element).times(sequences), cost.flops += 4 * width * width * sequences;
  cost.working = each.working;
  cost.flops += 2 * masks.tokens() * width * static_cast<double>(config.out_width);
  cost.saved += masks.tokens() * width * (float32 + element);
  return cost;
}

Cost visible_predictions_cost(const TransformerPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element) {
  const auto width = static_cast<double>(config.width);
  const auto [seen, sequences, rows, queries] = predictor_rows(config, masks, prefix);
  const Cost with = predictor_block(config, rows, queries + masks.visible, element), without = predictor_block(config, rows, queries, element);
  return {with.flops - without.flops + 2 * masks.visible * width * static_cast<double>(config.visible_width),
          with.saved - without.saved + masks.visible * width * (float32 + element), 0};
}

Cost predictor_cost(const CrossPredictorConfig& config, const MaskCounts& masks, int64_t prefix, int element) {
  const auto width = static_cast<double>(config.width), in = static_cast<double>(config.encoder_width), maps = static_cast<double>(config.maps);
  const double memory = masks.visible + static_cast<double>(prefix), queries = masks.tokens(), hidden = hidden_of(width, config.mlp_ratio);
  Cost layer;
  layer.flops = 2 * memory * in * (maps + 2 * width) + 4 * queries * width * width + 4 * queries * memory * width + 4 * queries * width * hidden;
  layer.saved = memory * in * (element * (maps + 1) + float32) + 2 * element * memory * width + queries * width * (2 * float32 + 4 * element) +
                2 * element * queries * hidden;
  layer.working = float32 * (memory * in + 2 * queries * hidden);
  Cost cost = layer.times(static_cast<double>(config.depth));
  cost.working = layer.working;
  cost.flops += 2 * queries * width * static_cast<double>(config.out_width);
  cost.saved += queries * width * (float32 + element);
  return cost;
}

Cost predictor_cost(const ConvPredictorConfig& config, int element) {
  const auto width = static_cast<double>(config.width), patches = static_cast<double>(config.grid * config.grid);
  Cost cost;
  for (int64_t layer = 0; layer < config.depth; ++layer) {
    const auto in = static_cast<double>(layer == 0 ? config.encoder_width : config.width);
    cost.flops += 2 * patches * width * in / static_cast<double>(config.groups) * static_cast<double>(config.kernel * config.kernel);
    cost.saved += patches * (element * in + 2 * float32 * width);
  }
  cost.flops += 2 * patches * width * static_cast<double>(config.out_width);
  cost.saved += element * patches * width;
  cost.working = float32 * patches * static_cast<double>(config.width + config.out_width);
  return cost;
}

}  // namespace flowrun::model
