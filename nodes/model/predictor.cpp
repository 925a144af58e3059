#include "nodes/model/predictor.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <stdexcept>

#include "nodes/device/weight_casts.h"
#include "nodes/kernels/kernels.h"
#include "nodes/model/rows.h"
#include "nodes/model/sincos.h"

namespace flowrun::model {

Predictor::Predictor(PredictorConfig config) : config_(config) {
  const int64_t width = config_.width;
  if (config_.grid < 1 || config_.encoder_width < 1 || config_.out_width < 1 || config_.registers < 0) {
    throw std::invalid_argument("a predictor needs a grid, an encoder width and an output width of at least 1");
  }
  mask_ = parameters_.add("mask_token", {1, 1, width}, Init::token);
  if (config_.registers) register_ = parameters_.add("reg_token", {1, config_.registers, width}, Init::token);
  embed_ = parameters_.add("embed.weight", {width, config_.encoder_width}, Init::linear);
  parameters_.add("embed.bias", {width}, Init::zeros);
  blocks_.emplace(
      parameters_,
      BlocksConfig{.depth = config_.depth, .width = width, .heads = config_.heads, .mlp_ratio = config_.mlp_ratio, .norm_eps = config_.norm_eps});
  norm_ = parameters_.add("norm.weight", {width}, Init::ones);
  parameters_.add("norm.bias", {width}, Init::zeros);
  proj_ = parameters_.add("proj.weight", {config_.out_width, width}, Init::linear);
  parameters_.add("proj.bias", {config_.out_width}, Init::zeros);
  positions_NP_ = sincos_table(config_.grid, width);
}

void Predictor::to(at::Device device, at::ScalarType dtype) {
  parameters_.to(device, dtype);
  positions_NP_ = sincos_table(config_.grid, config_.width, dtype).to(device);
}

/// The tokens that every region of an image sees besides its mask tokens: registers, class token, visible patches. [B,
/// S, P]
Tensor Predictor::context(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK) const {
  const auto embed = [&](const Tensor& x) { return at::linear(x, cast_weight(parameters_[embed_]), cast_weight(parameters_[embed_ + 1])); };
  std::vector<Tensor> parts;
  const Tensor patch_BKP = embed(patch_BKD).add(table_rows(positions_NP_, visible_BK));
  if (register_) parts.push_back(parameters_[*register_].expand({patch_BKD.size(0), -1, -1}));
  if (cls_B1D.defined()) parts.push_back(embed(cls_B1D).to(patch_BKP.scalar_type()));
  parts.push_back(patch_BKP);
  return at::cat(parts, 1);
}

Tensor Predictor::predict(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK, const Tensor& targets_BRM) const {
  if (targets_BRM.dim() != 3 || targets_BRM.size(0) != patch_BKD.size(0)) {
    throw std::invalid_argument("the predictor takes target indices [B, R, M] of the same images as the tokens");
  }
  if (config_.joint && targets_BRM.size(1) > 1) {
    const Tensor all_B1M = targets_BRM.flatten(1).unsqueeze(1);
    return predict(cls_B1D, patch_BKD, visible_BK, all_B1M).view({targets_BRM.size(0), targets_BRM.size(1), targets_BRM.size(2), config_.out_width});
  }
  const int64_t images = targets_BRM.size(0), regions = targets_BRM.size(1), patches = targets_BRM.size(2);
  const Tensor context_BSP = context(cls_B1D, patch_BKD, visible_BK);
  const Tensor shared_BRSP = context_BSP.unsqueeze(1).expand({images, regions, -1, -1});
  const Tensor mask_BRMP = parameters_[mask_].add(table_rows(positions_NP_, targets_BRM));
  kernels::Stream stream{.x = at::cat({shared_BRSP, mask_BRMP}, 2).flatten(0, 1)};  // from here B stands for images * regions
  const int64_t last = config_.depth - 1;
  for (int64_t block = 0; block < last; ++block) blocks_->run(parameters_, block, stream);
  // Only the mask tokens are read out, so the last block computes no other row.
  blocks_->run_last_rows(parameters_, last, stream, patches);
  const Tensor n_BMP = kernels::add_norm(stream, parameters_[norm_], parameters_[norm_ + 1], config_.norm_eps, kernels::product_type(stream.x));
  return at::linear(n_BMP, cast_weight(parameters_[proj_]), cast_weight(parameters_[proj_ + 1])).unflatten(0, {images, regions});
}

}  // namespace flowrun::model
