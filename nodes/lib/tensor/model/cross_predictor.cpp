#include "nodes/lib/tensor/model/cross_predictor.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/cost.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/sincos.h"

namespace flowrun::model {
CrossPredictor::CrossPredictor(CrossPredictorConfig config) : Predictor("cross_predictor"), config_(config) {
  if (config_.depth < 1 || config_.width < 1 || config_.out_width < 1 || config_.maps < 0) {
    throw std::invalid_argument("a predictor needs a depth, a width and an output width of at least 1");
  }
  if (config_.heads < 1 || config_.width % config_.heads != 0) {
    throw std::invalid_argument(std::to_string(config_.heads) + " heads do not divide the width " + std::to_string(config_.width));
  }
  mask_ = parameters_.add("mask_token", {1, 1, config_.width}, Init::token);
  if (config_.maps > 0) {
    mix_ = parameters_.add_normal("wfm.linear.weight", {config_.depth, config_.maps}, 1.0 / std::sqrt(static_cast<double>(config_.maps)));
  }
  for (int64_t layer = 0; layer < config_.depth; ++layer) layers_.push_back(add_layer(layer));
  norm_ = parameters_.add("norm.weight", {config_.width}, Init::ones);
  parameters_.add("norm.bias", {config_.width}, Init::zeros);
  proj_ = parameters_.add("pred.weight", {config_.out_width, config_.width}, Init::linear);
  parameters_.add("pred.bias", {config_.out_width}, Init::zeros);
  place_tables(at::kCPU, at::kFloat);
}

CrossPredictor::Layer CrossPredictor::add_layer(int64_t number) {
  const int64_t width = config_.width, memory = config_.encoder_width;
  const auto hidden = static_cast<int64_t>(std::llround(static_cast<double>(width) * config_.mlp_ratio));
  const int block = static_cast<int>(number) + 1;
  const std::string prefix = "blocks." + std::to_string(number) + ".";
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, Init init) {
    const size_t place = parameters_.add(prefix + name + ".weight", {out, in}, init, block);
    parameters_.add(prefix + name + ".bias", {out}, Init::zeros);
    return place;
  };
  const auto norm = [&](const std::string& name, int64_t size) {
    const size_t place = parameters_.add(name + ".weight", {size}, Init::ones);
    parameters_.add(name + ".bias", {size}, Init::zeros);
    return place;
  };
  Layer layer{};
  layer.norm1 = norm(prefix + "norm1", width);
  layer.query = linear("cross_attn.q", width, width, Init::linear);
  layer.key_value = linear("cross_attn.kv", 2 * width, memory, Init::linear);
  layer.proj = linear("cross_attn.proj", width, width, Init::residual);
  layer.norm2 = norm(prefix + "norm2", width);
  layer.fc1 = linear("mlp.fc1", hidden, width, Init::linear);
  layer.fc2 = linear("mlp.fc2", width, hidden, Init::residual);
  layer.memory_norm = norm("dec_norms." + std::to_string(number), memory);
  return layer;
}

void CrossPredictor::to(at::Device device, at::ScalarType dtype) {
  parameters_.to(device, dtype);
  place_tables(device, dtype);
}

void CrossPredictor::place_tables(at::Device device, at::ScalarType dtype) {
  if (rotates(config_.positions)) {
    places_N2_ = rotary_places(config_.positions, config_.grid, dtype).to(device);
    frequencies_2E_ = rotary_frequencies(config_.positions, config_.width / config_.heads, dtype).to(device);
  } else {
    positions_NP_ = sincos_table(config_.grid, config_.width, dtype).to(device);
  }
}

std::optional<CrossPredictor::Turned> CrossPredictor::rotation_of(const PredictorInputs& in) const {
  if (!rotates(config_.positions)) return {};
  // Class token and registers stand in front of the patches.
  const int64_t before = (in.cls_B1D.defined() ? in.cls_B1D.size(1) : 0) + (in.registers.defined() ? in.registers.size(1) : 0);
  const Tensor seen_BS2 = with_register_places(config_.positions, table_rows(places_N2_, in.visible_BK), before);
  return Turned{rotation(table_rows(places_N2_, in.targets_BRM.flatten(1)), frequencies_2E_), rotation(seen_BS2, frequencies_2E_)};
}

Tensor CrossPredictor::linear(const Tensor& x, size_t place) const {
  return at::linear(x, cast_weight(parameters_[place]), cast_weight(parameters_[place + 1]));
}

Tensor CrossPredictor::norm(const Tensor& x, size_t place) const {
  return at::layer_norm(x, {x.size(-1)}, parameters_[place], parameters_[place + 1], config_.norm_eps);
}

/// The tokens that layer `layer` looks at, before its norm: [B, S, D].
Tensor CrossPredictor::memory(const PredictorInputs& in, int64_t layer) const {
  if (config_.maps == 0) {
    std::vector<Tensor> tokens;
    for (const Tensor& some : {in.cls_B1D, in.registers, in.patch_BKD}) {
      if (some.defined()) tokens.push_back(some);
    }
    return tokens.size() > 1 ? at::cat(tokens, 1) : in.patch_BKD;
  }
  // One product in place of a sum over maps: the mix is a linear layer over the stacked maps.
  return at::stack(in.maps_BSD, -1).matmul(parameters_[mix_].select(0, layer).to(in.maps_BSD[0].scalar_type()));
}

Tensor CrossPredictor::attend(const Layer& place, const Tensor& x_BMP, const Tensor& memory_BSD, const std::optional<Turned>& turned) const {
  const int64_t heads = config_.heads;
  const auto parts = linear(memory_BSD, place.key_value).chunk(2, -1);
  Tensor query = kernels::to_heads(linear(norm(x_BMP, place.norm1), place.query), heads), key = kernels::to_heads(parts[0], heads);
  if (turned) query = rotated(query, turned->query), key = rotated(key, turned->key);
  return linear(kernels::attention(query, key, kernels::to_heads(parts[1], heads)), place.proj);
}

Tensor CrossPredictor::feed_forward(const Layer& place, const Tensor& x_BMP) const {
  return linear(kernels::linear_gelu(norm(x_BMP, place.norm2), cast_weight(parameters_[place.fc1]), parameters_[place.fc1 + 1]), place.fc2);
}

Tensor CrossPredictor::predict(const PredictorInputs& in) const {
  if (static_cast<int64_t>(in.maps_BSD.size()) != config_.maps) {
    throw std::invalid_argument("the predictor mixes " + std::to_string(config_.maps) + " blocks of the encoder, but gets " +
                                std::to_string(in.maps_BSD.size()) + ": set mim.encode_visible's \"maps\" to true");
  }
  const int64_t images = in.targets_BRM.size(0), regions = in.targets_BRM.size(1), patches = in.targets_BRM.size(2);
  // Mask tokens never see each other, so regions need no batch entries of their own.
  const std::optional<Turned> turned = rotation_of(in);
  Tensor x_BMP = turned ? parameters_[mask_].expand({images, regions * patches, -1})
                        : parameters_[mask_].add(table_rows(positions_NP_, in.targets_BRM.flatten(1)));
  for (int64_t layer = 0; layer < config_.depth; ++layer) {
    const Layer& place = layers_[static_cast<size_t>(layer)];
    x_BMP = x_BMP.add(attend(place, x_BMP, norm(memory(in, layer), place.memory_norm), turned));
    x_BMP = x_BMP.add(feed_forward(place, x_BMP));
  }
  return linear(norm(x_BMP, norm_), proj_).view({images, regions, patches, config_.out_width});
}

std::unique_ptr<Module> CrossPredictor::fresh() const {
  auto out = std::make_unique<CrossPredictor>(config_);
  out->blocks = blocks;
  return out;
}

std::optional<Cost> CrossPredictor::cost(const Pass& pass) const { return predictor_cost(config_, pass.masks, pass.prefix, pass.element); }

}  // namespace flowrun::model
