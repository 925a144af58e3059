#include "nodes/lib/tensor/model/text.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/cost.h"

namespace flowrun::model {
namespace {

BlocksConfig blocks_of(const TextConfig& config) {
  BlocksConfig blocks{.depth = config.depth,
                      .width = config.width,
                      .heads = config.heads,
                      .mlp_ratio = config.mlp_ratio,
                      .norm_eps = config.norm_eps,
                      .recompute = config.recompute,
                      .causal = config.causal,
                      .quick_gelu = config.quick_gelu};
  if (config.scaled_init) {
    blocks.attention_deviation = std::pow(static_cast<double>(config.width), -0.5);
    blocks.residual_deviation = blocks.attention_deviation * std::pow(2 * static_cast<double>(config.depth), -0.5);
    blocks.mlp_deviation = std::pow(2 * static_cast<double>(config.width), -0.5);
  }
  return blocks;
}

}  // namespace

Text::Text(TextConfig config) : Module("text"), config_(config) {
  if (config.vocabulary < 1 || config.context < 1) throw std::invalid_argument("a text tower needs a vocabulary and a context of at least 1");
  embedding_ = parameters_.add_normal("token_embedding.weight", {config.vocabulary, config.width}, 0.02);
  positions_ = parameters_.add_normal("positional_embedding", {config.context, config.width}, config.scaled_init ? 0.01 : 0.02);
  blocks_.emplace(parameters_, blocks_of(config));
  norm_ = parameters_.add("norm.weight", {config.width}, Init::ones);
  parameters_.add("norm.bias", {config.width}, Init::zeros);
}

std::optional<Cost> Text::cost(const Pass& pass) const { return text_cost(config_, pass.element); }

Tensor Text::encode(const Tensor& ids_BT, const Tensor& end_B, TextPool pool) const {
  const int64_t length = ids_BT.size(1);
  if (length > config_.context) {
    throw std::invalid_argument("texts of " + std::to_string(length) + " pieces are longer than the context of " + std::to_string(config_.context));
  }
  kernels::Stream stream{.x = at::embedding(parameters_[embedding_], ids_BT).add(parameters_[positions_].narrow(0, 0, length))};
  const Tensor seen_BT = at::arange(length, ids_BT.options()).le(end_B.unsqueeze(1)), seen_B11T = seen_BT.unsqueeze(1).unsqueeze(1);
  Blocks::Options options;
  if (!config_.causal) options.attended = &seen_B11T;
  for (int64_t block = 0; block < config_.depth; ++block) blocks_->run(parameters_, block, stream, options);
  const Tensor n_BTD =
      at_least_float(kernels::add_norm(stream, parameters_[norm_], parameters_[norm_ + 1], config_.norm_eps, stream.x.scalar_type()));
  if (pool == TextPool::start) return n_BTD.select(1, 0);
  if (pool == TextPool::end) return n_BTD.gather(1, end_B.view({-1, 1, 1}).expand({-1, 1, n_BTD.size(2)})).squeeze(1);
  const Tensor share_BT1 = seen_BT.to(n_BTD.scalar_type()).div(end_B.add(1).unsqueeze(1)).unsqueeze(2);
  return n_BTD.mul(share_BT1).sum(1);
}

}  // namespace flowrun::model
