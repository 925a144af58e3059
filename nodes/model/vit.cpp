#include "nodes/model/vit.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <stdexcept>

#include "nodes/model/rows.h"
#include "nodes/model/sincos.h"

namespace flowrun::model {
namespace {

void check(const VitConfig& config) {
  if (config.patch < 1 || config.image < config.patch || config.image % config.patch != 0) {
    throw std::invalid_argument("patches of " + std::to_string(config.patch) + " pixels do not tile an image of " + std::to_string(config.image));
  }
  if (config.registers < 0 || config.channels < 1) {
    throw std::invalid_argument("a ViT cannot have " + std::to_string(config.registers) + " registers and " + std::to_string(config.channels) +
                                " channels");
  }
}

}  // namespace

VitConfig vit_arch(std::string_view name) {
  VitConfig config;
  const auto set = [&](int64_t depth, int64_t width, int64_t heads) {
    config.depth = depth, config.width = width, config.heads = heads;
    return config;
  };
  if (name == "ti") return set(12, 192, 3);
  if (name == "s") return set(12, 384, 6);
  if (name == "b") return set(12, 768, 12);
  if (name == "l") return set(24, 1024, 16);
  throw std::invalid_argument("unknown ViT \"" + std::string(name) + "\": ti, s, b or l");
}

Vit::Vit(VitConfig config) : config_(config) {
  check(config_);
  const int64_t width = config_.width;
  positions_ND_ = sincos_table(config_.grid(), width);
  if (config_.class_token) class_ = parameters_.add("cls_token", {1, 1, width}, Init::token);
  if (config_.registers) register_ = parameters_.add("reg_token", {1, config_.registers, width}, Init::token);
  patch_weight_ = parameters_.add("patch_embed.proj.weight", {width, config_.channels, config_.patch, config_.patch}, Init::patch);
  parameters_.add("patch_embed.proj.bias", {width}, Init::zeros);
  blocks_.emplace(parameters_, config_.depth, width, config_.heads, config_.mlp_ratio, config_.norm_eps);
  norm_ = parameters_.add("norm.weight", {width}, Init::ones);
  parameters_.add("norm.bias", {width}, Init::zeros);
}

void Vit::to(at::Device device, at::ScalarType dtype) {
  parameters_.to(device, dtype);
  positions_ND_ = sincos_table(config_.grid(), config_.width, dtype).to(device);
}

/// [B, C, H, W] -> [B, N, F], the values of a patch in the order of the convolution's weight.
Tensor Vit::patchify(const Tensor& images_BCHW) const {
  const int64_t channels = config_.channels, side = config_.image, grid = config_.grid(), patch = config_.patch;
  if (images_BCHW.dim() != 4 || images_BCHW.size(1) != channels || images_BCHW.size(2) != side || images_BCHW.size(3) != side) {
    throw std::invalid_argument("the encoder takes images [B, " + std::to_string(channels) + ", " + std::to_string(side) + ", " +
                                std::to_string(side) + "]");
  }
  return images_BCHW.reshape({-1, channels, grid, patch, grid, patch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({-1, grid * grid, channels * patch * patch});
}

/// Embeds patches, adds their positions ([N, D] or [B, K, D]) and puts the learned tokens in front: [B, S, D].
Tensor Vit::sequence(const Tensor& patch_BKF, const Tensor& position) const {
  const int64_t images = patch_BKF.size(0);
  // A convolution with stride = kernel is a linear layer over patches.
  const Tensor embedded = at::linear(patch_BKF, parameters_[patch_weight_].flatten(1), parameters_[patch_weight_ + 1]).add(position);
  if (config_.prefix() == 0) return embedded;
  std::vector<Tensor> parts;
  if (class_) parts.push_back(parameters_[*class_].expand({images, -1, -1}));
  if (register_) parts.push_back(parameters_[*register_].expand({images, -1, -1}));
  parts.push_back(embedded.to(parts[0].scalar_type()));
  return at::cat(parts, 1);
}

Vit::Tokens Vit::finish(const Tensor& x_BSD) const {
  const Tensor n_BSD = at::layer_norm(x_BSD, {config_.width}, parameters_[norm_], parameters_[norm_ + 1], config_.norm_eps);
  const int64_t prefix = config_.prefix();
  return {class_ ? n_BSD.narrow(1, 0, 1) : Tensor(), n_BSD.narrow(1, prefix, n_BSD.size(1) - prefix),
          register_ ? n_BSD.narrow(1, class_ ? 1 : 0, config_.registers) : Tensor()};
}

Vit::Tokens Vit::encode_visible(const Tensor& images_BCHW, const Tensor& visible_BK) const {
  // Gathering pixels before the projection: hidden patches cost nothing.
  Tensor x_BSD = sequence(gather_rows(patchify(images_BCHW), visible_BK), table_rows(positions_ND_, visible_BK));
  for (int64_t block = 0; block < config_.depth; ++block) x_BSD = blocks_->run(parameters_, block, x_BSD);
  return finish(x_BSD);
}

std::vector<Tensor> Vit::hidden(const Tensor& images_BCHW, const std::vector<int64_t>& blocks) const {
  std::vector<Tensor> taps;
  Tensor x_BSD = sequence(patchify(images_BCHW), positions_ND_);
  int64_t done = 0;
  for (const int64_t block : blocks) {
    if (block <= done || block > config_.depth) {
      throw std::invalid_argument("hidden blocks must increase and lie in 1 to " + std::to_string(config_.depth) + "; got " + std::to_string(block) +
                                  " after " + std::to_string(done));
    }
    for (; done < block; ++done) x_BSD = blocks_->run(parameters_, done, x_BSD);
    taps.push_back(x_BSD.narrow(1, config_.prefix(), config_.patches()));
  }
  return taps;
}

Vit::Tokens Vit::features(const Tensor& images_BCHW) const {
  Tensor x_BSD = sequence(patchify(images_BCHW), positions_ND_);
  for (int64_t block = 0; block < config_.depth; ++block) x_BSD = blocks_->run(parameters_, block, x_BSD);
  return finish(x_BSD);
}

std::vector<std::pair<std::string, Tensor>> timm_state(const Vit& vit) {
  std::vector<std::pair<std::string, Tensor>> state;
  for (const auto& parameter : vit.parameters()) state.emplace_back(parameter.name, parameter.value.detach());
  state.emplace_back("pos_embed", vit.positions_ND().unsqueeze(0));
  return state;
}

}  // namespace flowrun::model
