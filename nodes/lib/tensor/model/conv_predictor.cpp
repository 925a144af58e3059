#include "nodes/lib/tensor/model/conv_predictor.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <stdexcept>

#include "nodes/lib/tensor/model/cost.h"
#include "nodes/lib/tensor/model/random.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::model {

ConvPredictor::ConvPredictor(ConvPredictorConfig config) : Predictor("conv_predictor"), config_(config) {
  if (config_.depth < 1 || config_.kernel % 2 != 1) throw std::invalid_argument("a convolutional predictor needs a layer and an odd kernel");
  for (const int64_t width : {config_.width, config_.encoder_width}) {
    if (config_.groups < 1 || width % config_.groups != 0) {
      throw std::invalid_argument(std::to_string(config_.groups) + " groups do not divide a width of " + std::to_string(width));
    }
  }
  for (int64_t layer = 0; layer < config_.depth; ++layer) {
    const int64_t in = layer == 0 ? config_.encoder_width : config_.width;
    const std::string name = "blocks." + std::to_string(layer) + ".conv.";
    layers_.push_back(parameters_.add(name + "weight", {config_.width, in / config_.groups, config_.kernel, config_.kernel}, Init::kaiming));
    parameters_.add(name + "bias", {config_.width}, Init::zeros);
  }
  proj_ = parameters_.add("proj.weight", {config_.out_width, config_.width}, Init::linear);
  parameters_.add("proj.bias", {config_.out_width}, Init::zeros);
}

/// [B, N, D]
Tensor ConvPredictor::fill_grid(const PredictorInputs& in) const {
  const int64_t rows = in.patch_BKD.size(0), width = in.patch_BKD.size(2);
  const int64_t patches = config_.grid * config_.grid;
  const Tensor grid_BND = keyed_normal({rows, patches, width}, config_.noise, in.noise, in.patch_BKD.options());
  const Tensor index_BKD = in.visible_BK.unsqueeze(-1).expand({-1, -1, width});
  return grid_BND.scatter(1, index_BKD, in.patch_BKD);
}

Tensor ConvPredictor::decode(const Tensor& x_BND) const {
  const int64_t images = x_BND.size(0), grid = config_.grid;
  Tensor x_BPHW = x_BND.transpose(1, 2).reshape({images, -1, grid, grid});
  for (const size_t place : layers_) {
    const Tensor conv = at::conv2d(x_BPHW, parameters_[place], parameters_[place + 1], 1, config_.kernel / 2, 1, config_.groups);
    const Tensor normed = at::layer_norm(conv.permute({0, 2, 3, 1}), {config_.width}, {}, {}, 1e-5);
    const Tensor out = at::gelu(normed).permute({0, 3, 1, 2});
    x_BPHW = out.size(1) == x_BPHW.size(1) ? out.add(x_BPHW) : out;
  }
  return at::linear(x_BPHW.flatten(2).transpose(1, 2), parameters_[proj_], parameters_[proj_ + 1]);
}

Tensor ConvPredictor::predict(const PredictorInputs& in) const { return gather_rows(decode(fill_grid(in)), in.targets_BRM); }

std::unique_ptr<Module> ConvPredictor::fresh() const {
  auto out = std::make_unique<ConvPredictor>(config_);
  out->blocks = blocks;
  return out;
}

std::optional<Cost> ConvPredictor::cost(const Pass& pass) const { return predictor_cost(config_, pass.element); }

}  // namespace flowrun::model
