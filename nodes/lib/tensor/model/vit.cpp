#include "nodes/lib/tensor/model/vit.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/upsample_bicubic2d.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <stdexcept>

#include "nodes/lib/tensor/device/weight_casts.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/model/cost.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/model/sincos.h"

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
  if (config.positions == Positions::rotary_capi && (config.class_token || config.registers % 4 != 0)) {
    throw std::invalid_argument("CAPI's places need registers in multiples of 4 and no class token");
  }
  for (const int64_t side : config.sizes) {
    if (side < config.patch || side % config.patch != 0) {
      throw std::invalid_argument("patches of " + std::to_string(config.patch) + " pixels do not tile an image of " + std::to_string(side));
    }
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
  if (name == "h") return set(32, 1280, 16);
  throw std::invalid_argument("unknown ViT \"" + std::string(name) + "\": ti, s, b, l or h");
}

Tensor resampled_positions(const Tensor& table_ND, int64_t from, int64_t to, double offset) {
  if (from == to) return table_ND;
  const Tensor map_1DHW = table_ND.reshape({1, from, from, -1}).permute({0, 3, 1, 2});
  std::optional<double> scale;
  if (offset != 0) scale = (static_cast<double>(to) + offset) / static_cast<double>(from);
  const Tensor there = at::upsample_bicubic2d(map_1DHW, {to, to}, /*align_corners=*/false, scale, scale);
  return there.permute({0, 2, 3, 1}).reshape({to * to, -1});
}

Tensor draw_drop_path(const VitConfig& config, Rng rng, int64_t images) {
  if (config.drop_path <= 0) return {};
  Tensor keep = at::empty({2 * config.depth, images}, at::kFloat);
  auto* out = keep.mutable_data_ptr<float>();
  for (int64_t block = 0; block < config.depth; ++block) {
    const double rise = config.depth == 1 || config.drop_evenly ? 1 : static_cast<double>(block) / static_cast<double>(config.depth - 1);
    const double drop = config.drop_path * rise;
    for (int64_t i = 0; i < 2 * images; ++i) *out++ = rng.chance(drop) ? 0.0f : static_cast<float>(1.0 / (1.0 - drop));
  }
  return keep;
}

Vit::Vit(VitConfig config) : config_(std::move(config)) {
  check(config_);
  const int64_t width = config_.width;
  if (config_.class_token) class_ = parameters_.add("cls_token", {1, 1, width}, Init::token);
  if (config_.registers) register_ = parameters_.add("reg_token", {1, config_.registers, width}, Init::token);
  if (config_.mask_token) mask_ = parameters_.add("mask_token", {1, 1, width}, Init::token);
  if (config_.positions == Positions::learned) positions_ = parameters_.add("pos_embed", {1, config_.patches(), width}, Init::token);
  patch_weight_ = parameters_.add("patch_embed.proj.weight", {width, config_.channels, config_.patch, config_.patch}, Init::patch);
  const auto add_norm = [&](const std::string& name) {
    const size_t first = parameters_.add(name + ".weight", {width}, Init::ones);
    parameters_.add(name + ".bias", {width}, Init::zeros);
    return first;
  };
  if (config_.pre_norm) {
    pre_norm_ = add_norm("norm_pre");
  } else {
    parameters_.add("patch_embed.proj.bias", {width}, Init::zeros);
  }
  blocks_.emplace(parameters_, BlocksConfig{.depth = config_.depth,
                                            .width = width,
                                            .heads = config_.heads,
                                            .mlp_ratio = config_.mlp_ratio,
                                            .norm_eps = config_.norm_eps,
                                            .gated = config_.gated,
                                            .layer_scale = config_.layer_scale,
                                            .recompute = config_.recompute,
                                            .lora_rank = config_.lora_rank,
                                            .lora_alpha = config_.lora_alpha,
                                            .quick_gelu = config_.quick_gelu,
                                            .condition = config_.time ? width : 0});
  norm_ = add_norm("norm");
  if (config_.time) time_.emplace(parameters_, width);
  place_tables(at::kCPU, at::kFloat);
}

void Vit::to(at::Device device, at::ScalarType dtype) {
  parameters_.to(device, dtype);
  place_tables(device, dtype);
}

void Vit::place_tables(at::Device device, at::ScalarType dtype) {
  if (rotates(config_.positions)) {
    table_ND_ = at::zeros({config_.patches(), config_.width}, dtype).to(device);
    frequencies_2E_ = rotary_frequencies(config_.positions, config_.width / config_.heads, dtype).to(device);
  } else {
    table_ND_ = sincos_table(config_.grid(), config_.width, dtype).to(device);
  }
}

std::vector<int64_t> Vit::sides() const {
  std::vector<int64_t> all = {config_.image};
  all.insert(all.end(), config_.sizes.begin(), config_.sizes.end());
  return all;
}

EncoderShape Vit::shape() const {
  return {.image = config_.image,
          .grid = config_.grid(),
          .width = config_.width,
          .depth = config_.depth,
          .heads = config_.heads,
          .class_token = config_.class_token,
          .prefix = config_.prefix(),
          .norm_eps = config_.norm_eps};
}

std::optional<Cost> Vit::cost(const Pass& pass) const {
  const double grid = (pass.side > 0 ? pass.side : static_cast<double>(config_.image)) / static_cast<double>(config_.patch);
  const double patches = pass.whole ? grid * grid : pass.masks.visible;
  Pass sized = pass;
  if (pass.last_rows == 0 && pass.read == Read::cls && config_.class_token) sized.last_rows = 1;
  if (pass.last_rows == 0 && pass.read == Read::patches) sized.last_rows = patches;
  return encoder_cost(config_, patches, sized);
}

std::vector<std::pair<std::string, Tensor>> Vit::notes() const {
  std::vector<std::pair<std::string, Tensor>> out;
  if (config_.positions != Positions::learned) out.emplace_back("pos_embed", positions_ND().unsqueeze(0));
  const auto note = [&](const char* name, double value) { out.emplace_back(name, at::scalar_tensor(value, at::kDouble)); };
  note("@heads", static_cast<double>(config_.heads));
  note("@norm_eps", config_.norm_eps);
  if (config_.quick_gelu) note("@quick_gelu", 1);
  if (rotates(config_.positions)) note("@rotary", config_.positions == Positions::rotary ? 1 : 2);
  if (config_.lora_rank > 0) note("@lora_scale", config_.lora_alpha / static_cast<double>(config_.lora_rank));
  return out;
}

Vit::Tokens Vit::encode(const Tensor& images_BCHW, const Seen& seen, const Options& options) const {
  if (seen.hidden_BN.defined()) return masked(images_BCHW, seen.hidden_BN, options);
  return seen.visible_BK.defined() ? encode_visible(images_BCHW, seen.visible_BK, options) : features(images_BCHW, options);
}

int64_t Vit::grid_of(const Tensor& images_BCHW) const {
  const int64_t channels = config_.channels, side = images_BCHW.dim() == 4 ? images_BCHW.size(3) : 0;
  const auto& sizes = config_.sizes;
  const bool accepted = side == config_.image || std::find(sizes.begin(), sizes.end(), side) != sizes.end();
  if (!accepted || images_BCHW.size(1) != channels || images_BCHW.size(2) != side) {
    std::string sides = std::to_string(config_.image);
    for (const int64_t other : sizes) sides += " or " + std::to_string(other);
    throw std::invalid_argument("the encoder takes images [B, " + std::to_string(channels) + ", side, side] with a side of " + sides);
  }
  return side / config_.patch;
}

Tensor Vit::positions_ND() const { return config_.positions == Positions::learned ? parameters_[positions_].select(0, 0) : table_ND_; }

Tensor Vit::placed(const Tensor& patch_BKD, int64_t grid, const Tensor& visible_BK) const {
  if (rotates(config_.positions)) return patch_BKD;
  const Tensor table_ND = resampled_positions(positions_ND(), config_.grid(), grid, config_.position_offset);
  return patch_BKD.add(visible_BK.defined() ? table_rows(table_ND, visible_BK) : table_ND);
}

std::optional<Rotation> Vit::rotation_of(int64_t grid, const Tensor& visible_BK) const {
  if (!rotates(config_.positions)) return {};
  const Tensor places_N2 = rotary_places(config_.positions, grid, frequencies_2E_.scalar_type()).to(frequencies_2E_.device());
  const Tensor places_BK2 = visible_BK.defined() ? table_rows(places_N2, visible_BK) : places_N2.unsqueeze(0);
  return rotation(with_register_places(config_.positions, places_BK2, config_.prefix()), frequencies_2E_);
}

/// [B, C, H, W] -> [B, K, F] at `index` [B, K], or [B, N, F]: the values of a patch in the order of the convolution's weight.
Tensor Vit::patchify(const Tensor& images_BCHW, const Tensor& index) const {
  const int64_t channels = config_.channels, grid = grid_of(images_BCHW), patch = config_.patch;
  const bool needs_gradient = at::GradMode::is_enabled() && images_BCHW.requires_grad();
  if (!needs_gradient) return kernels::patch_rows(images_BCHW, patch, index);
  const Tensor all_BNF =
      images_BCHW.reshape({-1, channels, grid, patch, grid, patch}).permute({0, 2, 4, 1, 3, 5}).reshape({-1, grid * grid, channels * patch * patch});
  return index.defined() ? gather_rows(all_BNF, index) : all_BNF;
}

/// A convolution with stride = kernel is a linear layer over patches.
Tensor Vit::embedded(const Tensor& patch_BKF) const {
  const Tensor weight = cast_weight(parameters_[patch_weight_]).flatten(1);
  return config_.pre_norm ? at::linear(patch_BKF, weight) : at::linear(patch_BKF, weight, cast_weight(parameters_[patch_weight_ + 1]));
}

/// Puts the learned tokens in front of patches that have their positions, as the blocks take them: [B, S, D].
Tensor Vit::sequence(const Tensor& patch_BKD) const {
  const Tensor x_BSD = with_tokens(patch_BKD);
  return config_.pre_norm ? norm({.x = x_BSD}, pre_norm_) : x_BSD;
}

Tensor Vit::with_tokens(const Tensor& patch_BKD) const {
  const int64_t images = patch_BKD.size(0);
  if (config_.prefix() == 0) return patch_BKD;
  std::vector<Tensor> parts;
  if (class_) parts.push_back(parameters_[*class_].expand({images, -1, -1}));
  if (register_) parts.push_back(parameters_[*register_].expand({images, -1, -1}));
  parts.push_back(patch_BKD.to(parts[0].scalar_type()));
  return at::cat(parts, 1);
}

Tensor Vit::norm(kernels::Stream stream, size_t at) const {
  return kernels::add_norm(stream, parameters_[at], parameters_[at + 1], config_.norm_eps, stream.x.scalar_type());
}

std::optional<RowChoice> Vit::rows_read(const Options& options, int64_t all) const {
  const TapRequest& taps = options.taps;
  if (options.maps || !taps.outputs.empty() || !taps.attention.empty() || taps.last > 0) return {};
  const int64_t prefix = config_.prefix();
  if (options.read == Read::cls && class_) return RowChoice{.first = 0, .count = 1};
  if (options.read == Read::patches && prefix > 0) return RowChoice{.first = prefix, .count = all - prefix};
  return {};
}

/// All blocks and the final norm.
Vit::Tokens Vit::run_blocks(Tensor x_BSD, const std::optional<Rotation>& rotation, const Options& options) const {
  Tokens out;
  const TapRequest& taps = options.taps;
  const auto asked = [](const std::vector<int64_t>& blocks, int64_t block) { return std::binary_search(blocks.begin(), blocks.end(), block + 1); };
  const Tensor adapted = condition(options.time_B, x_BSD.size(0));
  const std::optional<RowChoice> read = rows_read(options, x_BSD.size(1));
  kernels::Stream stream{.x = std::move(x_BSD)};
  for (int64_t block = 0; block < config_.depth; ++block) {
    Blocks::Options branch;
    branch.condition = &adapted;
    branch.rotation = rotation ? &*rotation : nullptr;
    Tensor keep[2];
    if (options.drop_path.defined()) {
      for (int64_t i : {0, 1}) keep[i] = options.drop_path.select(0, 2 * block + i).view({-1, 1, 1});
      branch.attention_keep = &keep[0], branch.mlp_keep = &keep[1];
    }
    if (read && block + 1 == config_.depth) branch.rows = &*read;
    if (asked(taps.attention, block)) branch.attention = &out.attention.emplace_back();
    blocks_->run(parameters_, block, stream, branch);
    if (options.maps) out.maps_BSD.push_back(stream.sum());
    if (asked(taps.outputs, block)) out.outputs_BSD.push_back(stream.sum());
    if (taps.last == block + 1) return out;
  }
  const Tensor n_BSD = norm(std::move(stream), norm_);
  if (read) {
    (options.read == Read::cls ? out.cls_B1D : out.patch) = n_BSD;
    return out;
  }
  const int64_t prefix = config_.prefix(), cls = class_ ? 1 : 0;
  if (class_) out.cls_B1D = n_BSD.narrow(1, 0, 1);
  if (register_) out.registers = n_BSD.narrow(1, cls, config_.registers);
  out.patch = n_BSD.narrow(1, prefix, n_BSD.size(1) - prefix);
  return out;
}

Vit::Tokens Vit::encode_visible(const Tensor& images_BCHW, const Tensor& visible_BK, const Options& options) const {
  // Gathering pixels before the projection: hidden patches cost nothing.
  check_indices(visible_BK, config_.patches());
  const int64_t grid = grid_of(images_BCHW), images = images_BCHW.size(0), masks = visible_BK.size(0);
  if (images == 0 || masks % images != 0) {
    throw std::invalid_argument("indices of " + std::to_string(masks) + " masks for " + std::to_string(images) + " images");
  }
  const Tensor pixels_BKF = patchify(images_BCHW, visible_BK.reshape({images, -1})).reshape({masks, visible_BK.size(1), -1});
  return run_blocks(sequence(placed(embedded(pixels_BKF), grid, visible_BK)), rotation_of(grid, visible_BK), options);
}

std::vector<Tensor> Vit::tapped(const Tensor& images_BCHW, const std::vector<int64_t>& blocks, Tap tap, bool norm_last, const Tensor& rows_Bn) const {
  std::vector<Tensor> taps;
  const int64_t grid = grid_of(images_BCHW), prefix = config_.prefix();
  RowChoice read{.first = prefix, .count = grid * grid};
  if (rows_Bn.defined()) check_indices(rows_Bn, grid * grid), read.index_Bn = rows_Bn.add(prefix);
  const std::optional<Rotation> rotation = rotation_of(grid, {});
  Blocks::Options plain;
  plain.rotation = rotation ? &*rotation : nullptr;
  const Tensor clean = condition({}, images_BCHW.size(0));
  plain.condition = &clean;
  kernels::Stream stream{.x = sequence(placed(embedded(patchify(images_BCHW, {})), grid, {}))};
  int64_t done = 0;
  for (const int64_t block : blocks) {
    if (block <= done || block > config_.depth) {
      throw std::invalid_argument("hidden blocks must increase and lie in 1 to " + std::to_string(config_.depth) + "; got " + std::to_string(block) +
                                  " after " + std::to_string(done));
    }
    for (; done + 1 < block; ++done) blocks_->run(parameters_, done, stream, plain);
    Tensor tapped;
    Blocks::Options options = plain;
    options.tapped = &tapped, options.tap = tap, options.ends = block == blocks.back();
    if (options.ends) options.rows = &read;
    blocks_->run(parameters_, done++, stream, options);
    if (!options.ends) tapped = read.of(tapped);
    if (norm_last && block == config_.depth) tapped = norm({.x = tapped}, norm_);
    taps.push_back(tapped);
  }
  return taps;
}

Vit::Tokens Vit::features(const Tensor& images_BCHW, const Options& options) const {
  const int64_t grid = grid_of(images_BCHW);
  return run_blocks(sequence(placed(embedded(patchify(images_BCHW, {})), grid, {})), rotation_of(grid, {}), options);
}

Vit::Tokens Vit::masked(const Tensor& images_BCHW, const Tensor& hidden_BN, const Options& options) const {
  const int64_t grid = grid_of(images_BCHW), images = images_BCHW.size(0), masks = hidden_BN.size(0);
  if (!mask_) throw std::invalid_argument("the encoder has no mask token for hidden patches");
  if (images == 0 || masks % images != 0 || hidden_BN.size(1) != grid * grid) {
    throw std::invalid_argument(std::to_string(masks) + " masks of " + std::to_string(hidden_BN.size(1)) + " patches for " + std::to_string(images) +
                                " images of " + std::to_string(grid * grid));
  }
  Tensor patch_BND = embedded(patchify(images_BCHW, {}));
  if (masks > images) patch_BND = patch_BND.repeat_interleave(masks / images, 0);
  const Tensor token = parameters_[*mask_].to(patch_BND.scalar_type());
  return run_blocks(sequence(placed(at::where(hidden_BN.unsqueeze(-1), token, patch_BND), grid, {})), rotation_of(grid, {}), options);
}

std::vector<std::pair<std::string, Tensor>> timm_state(const Vit& vit) {
  const at::NoGradGuard no_grad;
  std::vector<std::pair<std::string, Tensor>> state;
  for (const auto& parameter : vit.parameters()) {
    if (parameter.name.ends_with(".lora_a") || parameter.name.ends_with(".lora_b") || parameter.name == "mask_token") continue;
    Tensor value = parameter.value.detach();
    const std::string lora = parameter.name.substr(0, parameter.name.rfind('.')) + ".lora_";
    if (const Parameter* a = vit.parameters().find(lora + "a"); a && parameter.name.ends_with(".weight")) {
      const double scale = vit.config().lora_alpha / static_cast<double>(vit.config().lora_rank);
      value = value.add(vit.parameters().get(lora + "b").matmul(a->value), scale);
    }
    state.emplace_back(parameter.name, value);
  }
  if (vit.config().positions != Positions::learned) state.emplace_back("pos_embed", vit.positions_ND().unsqueeze(0));
  return state;
}

}  // namespace flowrun::model
