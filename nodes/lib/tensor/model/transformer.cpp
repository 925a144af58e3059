#include "nodes/lib/tensor/model/transformer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/recompute.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::model {

using kernels::Stream;

namespace {

/// Pads the first axis, which consists of heads `each` wide, with zeros up to `wide` in each: a layer with that weight
/// then outputs padded heads.
Tensor wider_rows(const Tensor& weight, int64_t each, int64_t wide) {
  if (each == wide) return weight;
  const Tensor heads = weight.unflatten(0, {-1, each});
  return (weight.dim() == 1 ? at::constant_pad_nd(heads, {0, wide - each}) : at::constant_pad_nd(heads, {0, 0, 0, wide - each})).flatten(0, 1);
}

/// The same for the second axis: a layer with that weight then accepts padded heads, and ignores the zeros.
Tensor wider_columns(const Tensor& weight, int64_t each, int64_t wide) {
  if (each == wide) return weight;
  return at::constant_pad_nd(weight.unflatten(1, {-1, each}), {0, wide - each}).flatten(1, 2);
}

}  // namespace

Tensor RowChoice::of(const Tensor& x_BSD) const { return index_Bn.defined() ? gather_rows(x_BSD, index_Bn) : x_BSD.narrow(1, first, count); }

Rotation RowChoice::of(const Rotation& all, int64_t sequences) const {
  if (!index_Bn.defined()) return all.narrow(first, count);
  const auto chosen = [&](const Tensor& x_B1SE) { return of(x_B1SE.select(1, 0).expand({sequences, -1, -1})).unsqueeze(1); };
  return {chosen(all.cos), chosen(all.sin)};
}

Blocks::Blocks(Parameters& parameters, const BlocksConfig& config) : config_(config) {
  if (config.depth < 1 || config.width < 1 || config.mlp_ratio * static_cast<double>(config.width) < 1) {
    throw std::invalid_argument("depth " + std::to_string(config.depth) + ", width " + std::to_string(config.width) + " and MLP ratio " +
                                std::to_string(config.mlp_ratio) + " must be positive");
  }
  if (config.heads < 1 || config.width % config.heads != 0) {
    throw std::invalid_argument(std::to_string(config.heads) + " heads do not divide the width " + std::to_string(config.width));
  }
  for (int64_t block = 0; block < config.depth; ++block) places_.push_back(add_block(parameters, block));
}

/// In timm's order.
Blocks::Places Blocks::add_block(Parameters& parameters, int64_t block) const {
  const int64_t width = config_.width;
  const auto hidden = static_cast<int64_t>(std::llround(static_cast<double>(width) * config_.mlp_ratio));
  const std::string prefix = "blocks." + std::to_string(block) + ".";
  const int number = static_cast<int>(block) + 1;
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, Init init, double deviation) {
    const size_t first = deviation > 0 ? parameters.add_normal(prefix + name + ".weight", {out, in}, deviation)
                                       : parameters.add(prefix + name + ".weight", {out, in}, init, number);
    parameters.add(prefix + name + ".bias", {out}, Init::zeros);
    return first;
  };
  const auto norm = [&](const std::string& name) {
    const size_t first = parameters.add(prefix + name + ".weight", {width}, Init::ones);
    parameters.add(prefix + name + ".bias", {width}, Init::zeros);
    return first;
  };
  const auto gain = [&](const std::string& name) {
    return config_.layer_scale > 0 ? parameters.add_constant(prefix + name + ".gamma", {width}, config_.layer_scale) : 0;
  };
  Places place{};
  place.norm1 = norm("norm1");
  place.qkv = linear("attn.qkv", 3 * width, width, Init::linear, config_.attention_deviation);
  place.proj = linear("attn.proj", width, width, Init::residual, config_.residual_deviation);
  place.ls1 = gain("ls1");
  place.norm2 = norm("norm2");
  if (config_.gated) {
    const int64_t gated = (hidden * 2 / 3 + 7) / 8 * 8;
    place.fc1 = linear("mlp.w12", 2 * gated, width, Init::linear, config_.mlp_deviation);
    place.fc2 = linear("mlp.w3", width, gated, Init::residual, config_.residual_deviation);
  } else {
    place.fc1 = linear("mlp.fc1", hidden, width, Init::linear, config_.mlp_deviation);
    place.fc2 = linear("mlp.fc2", width, hidden, Init::residual, config_.residual_deviation);
  }
  place.ls2 = gain("ls2");
  if (config_.lora_rank > 0) {
    place.qkv_lora = add_lora(parameters, prefix + "attn.qkv", 3 * width, block);
    place.proj_lora = add_lora(parameters, prefix + "attn.proj", width, block);
  }
  if (config_.condition > 0) {
    place.ada = parameters.add(prefix + "ada.weight", {6 * width, config_.condition}, Init::zeros);
    parameters.add(prefix + "ada.bias", {6 * width}, Init::zeros);
  }
  return place;
}

/// A is drawn, B is zero: the addition is zero at first.
size_t Blocks::add_lora(Parameters& parameters, const std::string& name, int64_t out, int64_t block) const {
  const size_t place = parameters.add(name + ".lora_a", {config_.lora_rank, config_.width}, Init::kaiming, static_cast<int>(block) + 1);
  parameters.add(name + ".lora_b", {out, config_.lora_rank}, Init::zeros);
  return place;
}

Tensor Blocks::weight(const Parameters& p, size_t plain, size_t lora) const {
  if (config_.lora_rank == 0) return cast_weight(p[plain]);
  return p[plain].add(p[lora + 1].matmul(p[lora]), config_.lora_alpha / static_cast<double>(config_.lora_rank));
}

Tensor Blocks::Modulation::of(const Tensor& n_BSD) const { return scale.defined() ? at::addcmul(shift, n_BSD, scale.add(1)) : n_BSD; }

std::array<Blocks::Modulation, 2> Blocks::modulations(const Parameters& p, const Places& place, const Tensor* condition) const {
  if (config_.condition == 0) return {};
  if (condition == nullptr || !condition->defined()) throw std::invalid_argument("blocks with adaptive norms need a condition");
  const std::vector<Tensor> six = at::linear(*condition, cast_weight(p[place.ada]), cast_weight(p[place.ada + 1])).unsqueeze(1).chunk(6, -1);
  return {{{six[0], six[1], six[2]}, {six[3], six[4], six[5]}}};
}

/// The stream at x with what a linear layer adds to it: its bias waits with the addition, unless a gain or a gate comes in between.
Stream Blocks::branch(const Parameters& p, const Tensor& x, const Tensor& in, const Tensor& weight, size_t bias, size_t gain,
                      const Tensor& gate) const {
  if (config_.layer_scale == 0 && !gate.defined()) return {.x = x, .branch = at::linear(in, weight), .bias = p[bias], .spend = true};
  Tensor added = at::linear(in, weight, cast_weight(p[bias]));
  if (config_.layer_scale > 0) added = added.mul(p[gain]);
  if (gate.defined()) added = added.mul(gate);
  return {.x = x, .branch = added, .spend = true};
}

/// Stochastic depth, and the tap of a branch.
void Blocks::finish(Stream& stream, const Tensor* keep, Tensor* tapped) {
  if (!keep && !tapped) return;
  if (stream.bias.defined()) stream.branch = stream.branch.add(stream.bias), stream.bias.reset();
  if (tapped) *tapped = stream.branch, stream.spend = false;
  if (keep) stream.branch = stream.branch.mul(*keep), stream.spend = true;
}

/// As it is computed: E, or more (BlocksConfig::head_multiple).
int64_t Blocks::head_width(const Tensor& x) const {
  int64_t multiple = config_.head_multiple;
  if (multiple == 0) multiple = x.is_cuda() && c10::elementSize(kernels::product_type(x)) == 2 ? 8 : 1;
  return (config_.width / config_.heads + multiple - 1) / multiple * multiple;
}

void Blocks::attend(const Parameters& p, const Places& place, Stream& stream, const Options& options, const Modulation& modulation) const {
  const Tensor n_BSD =
      modulation.of(kernels::add_norm(stream, p[place.norm1], p[place.norm1 + 1], config_.norm_eps, kernels::product_type(stream.x)));
  const RowChoice* const rows = options.rows;
  const int64_t heads = config_.heads, each = config_.width / heads, wide = head_width(stream.x);
  const Tensor weights = wider_rows(weight(p, place.qkv, place.qkv_lora), each, wide), bias = wider_rows(cast_weight(p[place.qkv + 1]), each, wide);
  const int64_t width = heads * wide;
  const kernels::Attending how{.scale = 1.0 / std::sqrt(static_cast<double>(each)),
                               .mask = options.attended != nullptr ? *options.attended : Tensor(),
                               .causal = config_.causal};
  Tensor out_BSD, x_BSD = stream.x;
  if (rows == nullptr && options.rotation == nullptr && options.attention == nullptr) {
    out_BSD = kernels::self_attention(at::linear(n_BSD, weights, bias), heads, how);
  } else {
    Tensor query, key, value;
    if (rows == nullptr) {
      const auto parts = at::linear(n_BSD, weights, bias).chunk(3, -1);
      query = parts[0], key = parts[1], value = parts[2];
    } else {
      x_BSD = rows->of(x_BSD);
      query = at::linear(rows->of(n_BSD), weights.narrow(0, 0, width), bias.narrow(0, 0, width));
      const auto parts = at::linear(n_BSD, weights.narrow(0, width, 2 * width), bias.narrow(0, width, 2 * width)).chunk(2, -1);
      key = parts[0], value = parts[1];
    }
    query = kernels::to_heads(query, heads), key = kernels::to_heads(key, heads), value = kernels::to_heads(value, heads);
    if (const Rotation* const all = options.rotation) {
      query = rotated(query, rows != nullptr ? rows->of(*all, query.size(0)) : *all), key = rotated(key, *all);
    }
    if (options.attention != nullptr) *options.attention = {query.narrow(-1, 0, each), key.narrow(-1, 0, each), value.narrow(-1, 0, each)};
    out_BSD = kernels::attention(query, key, value, how);
  }
  const Tensor proj = wider_columns(weight(p, place.proj, place.proj_lora), each, wide);
  stream = branch(p, x_BSD, out_BSD, proj, place.proj + 1, place.ls1, modulation.gate);
}

Tensor Blocks::hidden_of(const Parameters& p, const Places& place, const Tensor& n_BSD) const {
  const Tensor weight = cast_weight(p[place.fc1]);
  if (!config_.gated && !config_.quick_gelu) return kernels::linear_gelu(n_BSD, weight, p[place.fc1 + 1]);
  const Tensor x = at::linear(n_BSD, weight, p[place.fc1 + 1].to(weight.scalar_type()));
  if (!config_.gated) return at::silu(x.mul(1.702)).div(1.702);
  const std::vector<Tensor> halves = x.chunk(2, -1);
  return at::silu(halves[0]).mul(halves[1]);
}

void Blocks::feed_forward(const Parameters& p, const Places& place, Stream& stream, const Modulation& modulation) const {
  const Tensor n_BSD =
      modulation.of(kernels::add_norm(stream, p[place.norm2], p[place.norm2 + 1], config_.norm_eps, kernels::product_type(stream.x)));
  stream = branch(p, stream.x, hidden_of(p, place, n_BSD), cast_weight(p[place.fc2]), place.fc2 + 1, place.ls2, modulation.gate);
}

void Blocks::run(const Parameters& parameters, int64_t block, Stream& stream, const Options& options) const {
  const bool again = config_.recompute && at::GradMode::is_enabled() && options.tapped == nullptr && options.attention == nullptr;
  again ? run_again(parameters, block, stream, options) : run_once(parameters, block, stream, options);
}

std::vector<Tensor> Blocks::parameters_of(const Parameters& p, const Places& place) const {
  std::vector<Tensor> out;
  for (const size_t at : {place.norm1, place.qkv, place.proj, place.norm2, place.fc1}) out.push_back(p[at]), out.push_back(p[at + 1]);
  out.push_back(p[place.fc2]);
  if (config_.layer_scale > 0) out.push_back(p[place.ls1]), out.push_back(p[place.ls2]);
  if (config_.lora_rank > 0) {
    for (const size_t at : {place.qkv_lora, place.proj_lora}) out.push_back(p[at]), out.push_back(p[at + 1]);
  }
  if (config_.condition > 0) out.push_back(p[place.ada]), out.push_back(p[place.ada + 1]);
  return out;
}

/// The stream's three tensors and the condition go in. Of the stream that comes out the bias is a parameter, or has been added already.
void Blocks::run_again(const Parameters& parameters, int64_t block, Stream& stream, const Options& options) const {
  std::vector<Tensor> inputs = {stream.x};
  const bool has_branch = stream.branch.defined(), has_bias = stream.bias.defined();
  if (has_branch) inputs.push_back(stream.branch);
  if (has_bias) inputs.push_back(stream.bias);
  const bool has_condition = options.condition != nullptr && options.condition->defined();
  if (has_condition) inputs.push_back(*options.condition);
  const Tensor attention = options.attention_keep != nullptr ? *options.attention_keep : Tensor();
  const Tensor mlp = options.mlp_keep != nullptr ? *options.mlp_keep : Tensor();
  const Tensor attended = options.attended != nullptr ? *options.attended : Tensor();
  const Tensor bias = parameters[places_[static_cast<size_t>(block)].fc2 + 1];
  const bool has_rotation = options.rotation != nullptr, has_rows = options.rows != nullptr;
  const Rotation rotation = has_rotation ? *options.rotation : Rotation();
  const RowChoice rows = has_rows ? *options.rows : RowChoice();
  const auto work = [this, &parameters, block, has_branch, has_bias, has_condition, attention, mlp, attended, has_rotation, rotation, has_rows,
                     rows](const std::vector<Tensor>& in) {
    Stream inside{.x = in[0], .branch = has_branch ? in[1] : Tensor(), .bias = has_bias ? in[has_branch ? 2 : 1] : Tensor()};
    const auto given = [](const Tensor& tensor) { return tensor.defined() ? &tensor : nullptr; };
    run_once(parameters, block, inside,
             {.attention_keep = given(attention),
              .mlp_keep = given(mlp),
              .attended = given(attended),
              .rotation = has_rotation ? &rotation : nullptr,
              .rows = has_rows ? &rows : nullptr,
              .condition = has_condition ? &in.back() : nullptr});
    return std::vector<Tensor>{inside.x, inside.branch};
  };
  std::vector<Tensor> all = parameters_of(parameters, places_[static_cast<size_t>(block)]);
  const bool adds_bias = mlp.defined() || config_.layer_scale > 0 || config_.condition > 0;
  if (adds_bias) all.push_back(bias);
  const std::vector<Tensor> out = recomputed(inputs, all, work);
  stream = {.x = out[0], .branch = out[1], .bias = adds_bias ? Tensor() : bias};
}

void Blocks::run_once(const Parameters& parameters, int64_t block, Stream& stream, const Options& options) const {
  const Places& place = places_.at(static_cast<size_t>(block));
  const auto tapped = [&](Tap tap) { return options.tap == tap ? options.tapped : nullptr; };
  const auto modulation = modulations(parameters, place, options.condition);
  attend(parameters, place, stream, options, modulation[0]);
  finish(stream, options.attention_keep, tapped(Tap::attention));
  if (Tensor* middle = tapped(Tap::middle)) *middle = stream.sum();
  if (options.ends && (options.tap == Tap::attention || options.tap == Tap::middle)) return;
  feed_forward(parameters, place, stream, modulation[1]);
  finish(stream, options.mlp_keep, tapped(Tap::mlp));
  if (Tensor* output = tapped(Tap::output)) *output = stream.sum();
}

}  // namespace flowrun::model
