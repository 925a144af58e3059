#include "nodes/lib/tensor/model/transformer_predictor.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <stdexcept>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/cost.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/sincos.h"

namespace flowrun::model {

TransformerPredictor::TransformerPredictor(TransformerPredictorConfig config) : Predictor("predictor"), config_(config) {
  const int64_t width = config_.width;
  if (config_.grid < 1 || config_.encoder_width < 1 || config_.out_width < 1 || config_.registers < 0) {
    throw std::invalid_argument("a predictor needs a grid, an encoder width and an output width of at least 1");
  }
  if (config_.visible_width > 0 && !config_.joint) throw std::invalid_argument("predictions at visible patches need joint regions");
  mask_ = parameters_.add("mask_token", {1, 1, width}, Init::token);
  if (config_.registers) register_ = parameters_.add("reg_token", {1, config_.registers, width}, Init::token);
  embed_ = parameters_.add("embed.weight", {width, config_.encoder_width}, Init::linear);
  parameters_.add("embed.bias", {width}, Init::zeros);
  blocks_.emplace(parameters_, BlocksConfig{.depth = config_.depth,
                                            .width = width,
                                            .heads = config_.heads,
                                            .mlp_ratio = config_.mlp_ratio,
                                            .norm_eps = config_.norm_eps,
                                            .condition = config_.time ? width : 0});
  norm_ = parameters_.add("norm.weight", {width}, Init::ones);
  parameters_.add("norm.bias", {width}, Init::zeros);
  proj_ = parameters_.add("proj.weight", {config_.out_width, width}, Init::linear);
  parameters_.add("proj.bias", {config_.out_width}, Init::zeros);
  if (config_.visible_width > 0) {
    visible_proj_ = parameters_.add("visible_proj.weight", {config_.visible_width, width}, Init::linear);
    parameters_.add("visible_proj.bias", {config_.visible_width}, Init::zeros);
  }
  if (config_.time) {
    time_.emplace(parameters_, width);
    final_ = parameters_.add("final.weight", {2 * width, width}, Init::zeros);
    parameters_.add("final.bias", {2 * width}, Init::zeros);
  }
  place_tables(at::kCPU, at::kFloat);
}

void TransformerPredictor::to(at::Device device, at::ScalarType dtype) {
  parameters_.to(device, dtype);
  place_tables(device, dtype);
}

void TransformerPredictor::place_tables(at::Device device, at::ScalarType dtype) {
  if (config_.rotary) {
    places_N2_ = rotary_places(Positions::rotary, config_.grid, dtype).to(device);
    frequencies_2E_ = rotary_frequencies(Positions::rotary, config_.width / config_.heads, dtype).to(device);
  } else {
    positions_NP_ = sincos_table(config_.grid, config_.width, dtype).to(device);
  }
}

Tensor TransformerPredictor::placed(const Tensor& x, const Tensor& index) const {
  return config_.rotary ? x : x.add(table_rows(positions_NP_, index));
}

std::optional<Rotation> TransformerPredictor::rotation_of(int64_t before, const Tensor& visible_BK, const Tensor& targets_BRM) const {
  if (!config_.rotary) return {};
  const Tensor seen_BK2 = with_register_places(Positions::rotary, table_rows(places_N2_, visible_BK), before);
  const Tensor seen_BRK2 = seen_BK2.unsqueeze(1).expand({-1, targets_BRM.size(1), -1, -1});
  return rotation(at::cat({seen_BRK2, table_rows(places_N2_, targets_BRM)}, 2).flatten(0, 1), frequencies_2E_);
}

/// The tokens that every region of an image sees besides its mask tokens: registers, class token, visible patches. [B, S, P]
Tensor TransformerPredictor::context(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK) const {
  const auto embed = [&](const Tensor& x) { return at::linear(x, cast_weight(parameters_[embed_]), cast_weight(parameters_[embed_ + 1])); };
  std::vector<Tensor> parts;
  const Tensor patch_BKP = placed(embed(patch_BKD), visible_BK);
  if (register_) parts.push_back(parameters_[*register_].expand({patch_BKD.size(0), -1, -1}));
  if (cls_B1D.defined()) parts.push_back(embed(cls_B1D).to(patch_BKP.scalar_type()));
  parts.push_back(patch_BKP);
  return at::cat(parts, 1);
}

/// The final norm, and with a time its scale and shift.
Tensor TransformerPredictor::normed(kernels::Stream& stream, const Tensor& condition) const {
  Tensor n_BSP = kernels::add_norm(stream, parameters_[norm_], parameters_[norm_ + 1], config_.norm_eps, kernels::product_type(stream.x));
  if (!config_.time) return n_BSP;
  const auto two = at::linear(condition, cast_weight(parameters_[final_]), cast_weight(parameters_[final_ + 1])).unsqueeze(1).chunk(2, -1);
  return at::addcmul(two[0], n_BSP, two[1].add(1));
}

Tensor TransformerPredictor::predict(const PredictorInputs& in) const {
  const Tensor& targets_BRM = in.targets_BRM;
  if (targets_BRM.dim() != 3 || targets_BRM.size(0) != in.patch_BKD.size(0)) {
    throw std::invalid_argument("the predictor takes target indices [B, R, M] of the same images as the tokens");
  }
  if (in.visible_B1KO != nullptr && config_.visible_width == 0) throw std::invalid_argument("the predictor makes no predictions at visible patches");
  const int64_t images = targets_BRM.size(0), regions = targets_BRM.size(1), patches = targets_BRM.size(2), seen = in.visible_BK.size(1);
  if (config_.joint && regions > 1) {
    PredictorInputs all = in;
    all.targets_BRM = targets_BRM.flatten(1).unsqueeze(1);
    return predict(all).view({images, regions, patches, config_.out_width});
  }
  const Tensor context_BSP = context(in.cls_B1D, in.patch_BKD, in.visible_BK);
  const Tensor shared_BRSP = context_BSP.unsqueeze(1).expand({images, regions, -1, -1});
  const Tensor mask_BRMP = placed(parameters_[mask_].expand({images, regions, patches, -1}), targets_BRM);
  const std::optional<Rotation> turned = rotation_of(context_BSP.size(1) - seen, in.visible_BK, targets_BRM);
  const Tensor condition = time_ ? time_->condition(parameters_, in.time_B, images * regions) : Tensor();
  Blocks::Options options;
  options.rotation = turned ? &*turned : nullptr;
  options.condition = &condition;
  kernels::Stream stream{.x = at::cat({shared_BRSP, mask_BRMP}, 2).flatten(0, 1)};  // from here B stands for images * regions
  const int64_t last = config_.depth - 1;
  for (int64_t block = 0; block < last; ++block) blocks_->run(parameters_, block, stream, options);
  // The last block computes only the rows that are read out: the mask tokens, which stand behind the visible patches.
  const int64_t before = in.visible_B1KO != nullptr ? seen : 0;
  const RowChoice read{.first = stream.x.size(1) - before - patches, .count = before + patches};
  options.rows = &read;
  blocks_->run(parameters_, last, stream, options);
  const Tensor n_BMP = normed(stream, condition);
  const auto projected = [&](const Tensor& x, size_t at) { return at::linear(x, cast_weight(parameters_[at]), cast_weight(parameters_[at + 1])); };
  if (before > 0) *in.visible_B1KO = projected(n_BMP.narrow(1, 0, before), visible_proj_).unsqueeze(1);
  return projected(before > 0 ? n_BMP.narrow(1, before, patches) : n_BMP, proj_).unflatten(0, {images, regions});
}

std::unique_ptr<Module> TransformerPredictor::fresh() const {
  auto out = std::make_unique<TransformerPredictor>(config_);
  out->blocks = blocks;
  return out;
}

std::optional<Cost> TransformerPredictor::cost(const Pass& pass) const { return predictor_cost(config_, pass.masks, pass.class_token, pass.element); }

Cost TransformerPredictor::visible_cost(const Pass& pass) const {
  return visible_predictions_cost(config_, pass.masks, pass.class_token, pass.element);
}

}  // namespace flowrun::model
