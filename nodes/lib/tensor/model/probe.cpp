#include "nodes/lib/tensor/model/probe.h"

#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/kernels/kernels.h"

namespace flowrun::model {
namespace {

constexpr double kBatchNormEps = 1e-6, kBatchNormMomentum = 0.1;

/// Places of an attentive head's parameters after its first one, in the order they are added.
enum Place : size_t {
  kQuery,
  kNorm1Weight,
  kNorm1Bias,
  kQWeight,
  kQBias,
  kKvWeight,
  kKvBias,
  kNorm2Weight,
  kNorm2Bias,
  kFc1Weight,
  kFc1Bias,
  kFc2Weight,
  kFc2Bias,
};

}  // namespace

ProbeKind probe_kind(std::string_view name) {
  if (name == "linear") return ProbeKind::linear;
  if (name == "attentive") return ProbeKind::attentive;
  if (name == "segment_linear") return ProbeKind::segment_linear;
  if (name == "segment_block") return ProbeKind::segment_block;
  throw std::invalid_argument("unknown probe \"" + std::string(name) + "\": linear, attentive, segment_linear or segment_block");
}

Probe::Probe(ProbeConfig config) : Module("probe"), config_(std::move(config)) {
  const ProbeConfig& c = config_;
  if (c.classes < 1 || c.width < 1 || heads() < 1) throw std::invalid_argument("a probe needs classes, a width and at least one head");
  if (c.kind == ProbeKind::attentive && (c.attention_heads < 1 || c.width % c.attention_heads != 0)) {
    throw std::invalid_argument(std::to_string(c.attention_heads) + " heads do not divide the width " + std::to_string(c.width));
  }
  if (c.kind == ProbeKind::segment_block) {
    blocks_.emplace(parameters_,
                    BlocksConfig{.depth = heads(), .width = c.width, .heads = c.attention_heads, .mlp_ratio = c.mlp_ratio, .norm_eps = c.norm_eps});
  }
  first_ = parameters_.size();
  for (int64_t head = 0; head < heads(); ++head) {
    const std::string prefix = "heads." + std::to_string(head) + ".";
    if (c.kind == ProbeKind::attentive) add_attentive(prefix);
    add_linear(prefix);
    if (head == 0) per_head_ = parameters_.size() - first_;
  }
  if (c.kind != ProbeKind::linear) return;
  buffers_.add("running_mean", at::zeros({c.width}));
  buffers_.add("running_variance", at::ones({c.width}));
}

void Probe::add_attentive(const std::string& prefix) {
  const int64_t width = config_.width, hidden = std::llround(static_cast<double>(width) * config_.mlp_ratio);
  parameters_.add(prefix + "query", {1, 1, width}, Init::token);
  parameters_.add(prefix + "norm1.weight", {width}, Init::ones);
  parameters_.add(prefix + "norm1.bias", {width}, Init::zeros);
  parameters_.add(prefix + "q.weight", {width, width}, Init::linear);
  parameters_.add(prefix + "q.bias", {width}, Init::zeros);
  parameters_.add(prefix + "kv.weight", {2 * width, width}, Init::linear);
  parameters_.add(prefix + "kv.bias", {2 * width}, Init::zeros);
  parameters_.add(prefix + "norm2.weight", {width}, Init::ones);
  parameters_.add(prefix + "norm2.bias", {width}, Init::zeros);
  parameters_.add(prefix + "mlp.fc1.weight", {hidden, width}, Init::linear);
  parameters_.add(prefix + "mlp.fc1.bias", {hidden}, Init::zeros);
  parameters_.add(prefix + "mlp.fc2.weight", {width, hidden}, Init::residual, /*block=*/1);
  parameters_.add(prefix + "mlp.fc2.bias", {width}, Init::zeros);
}

void Probe::add_linear(const std::string& prefix) {
  parameters_.add(prefix + "linear.weight", {config_.classes, config_.width}, Init::linear);
  parameters_.add(prefix + "linear.bias", {config_.classes}, Init::zeros);
}

std::vector<size_t> Probe::indices(int64_t head) const {
  std::vector<size_t> out;
  const size_t per_block = first_ / static_cast<size_t>(heads()), h = static_cast<size_t>(head);
  for (size_t i = 0; i < per_block; ++i) out.push_back(h * per_block + i);
  for (size_t i = 0; i < per_head_; ++i) out.push_back(first_ + h * per_head_ + i);
  return out;
}

void Probe::initialise(uint64_t seed) {
  const at::NoGradGuard no_grad;
  parameters_.initialise(seed, config_.kind == ProbeKind::attentive ? InitScheme::ijepa_rescaled : InitScheme::ijepa);
  const std::vector<size_t> first = indices(0);
  if (config_.kind == ProbeKind::linear) parameters_[first[0]].mul_(0.5);
  for (int64_t head = 1; head < heads(); ++head) {
    const std::vector<size_t> own = indices(head);
    for (size_t i = 0; i < own.size(); ++i) parameters_[own[i]].copy_(parameters_[first[i]]);
  }
}

Tensor Probe::normalise(const Tensor& x_BD) const {
  const at::NoGradGuard no_grad;
  check_width(x_BD);
  return x_BD.sub(running_mean()).mul(running_variance().add(kBatchNormEps).rsqrt());
}

Probe::Normalised Probe::normalise_by_itself(const Tensor& x_BD) const {
  const at::NoGradGuard no_grad;
  check_width(x_BD);
  const auto rows = static_cast<double>(x_BD.size(0));
  if (rows < 2) throw std::invalid_argument("a batch norm can't be trained on a group of one image");
  const Tensor mean_D = x_BD.mean(0), centred_BD = x_BD.sub(mean_D), variance_D = centred_BD.square().mean(0);
  return {centred_BD.mul(variance_D.add(kBatchNormEps).rsqrt()), at::stack({mean_D, variance_D.mul(rows / (rows - 1))})};
}

void Probe::move_statistics(const Tensor& statistics_2D) {
  const at::NoGradGuard no_grad;
  running_mean().lerp_(statistics_2D[0], kBatchNormMomentum);
  running_variance().lerp_(statistics_2D[1], kBatchNormMomentum);
}

/// [B, S, D] -> [B, D]: y = q + attention(q, norm1(x)); y + mlp(norm2(y)). The attention has no projection.
Tensor Probe::attend(size_t first, const Tensor& x_BSD) const {
  const Parameters& p = parameters_;
  const int64_t width = config_.width, heads = config_.attention_heads;
  const Tensor n_BSD = at::layer_norm(x_BSD, {width}, p[first + kNorm1Weight], p[first + kNorm1Bias], config_.norm_eps);
  const auto key_value = at::linear(n_BSD, p[first + kKvWeight], p[first + kKvBias]).chunk(2, -1);
  const Tensor query_B1D = p[first + kQuery].expand({x_BSD.size(0), -1, -1});
  const Tensor projected_B1D = at::linear(query_B1D, p[first + kQWeight], p[first + kQBias]);
  const auto to_heads = [&](const Tensor& x_BSD) { return kernels::to_heads(x_BSD, heads); };
  const Tensor out_B1D = kernels::attention(to_heads(projected_B1D), to_heads(key_value[0]), to_heads(key_value[1]));
  const Tensor y_BD = query_B1D.add(out_B1D).select(1, 0);
  const Tensor m_BD = at::layer_norm(y_BD, {width}, p[first + kNorm2Weight], p[first + kNorm2Bias], config_.norm_eps);
  const Tensor hidden = at::gelu(at::linear(m_BD, p[first + kFc1Weight], p[first + kFc1Bias]));
  return y_BD.add(at::linear(hidden, p[first + kFc2Weight], p[first + kFc2Bias]));
}

void Probe::check_width(const Tensor& x) const {
  if (x.size(-1) != config_.width) {
    throw std::invalid_argument("what comes in is " + std::to_string(x.size(-1)) + " wide, but the probe was made for " +
                                std::to_string(config_.width) + ": set the probe's width");
  }
}

Tensor Probe::scores(int64_t head, const Tensor& x) const {
  check_width(x);
  const size_t first = first_ + static_cast<size_t>(head) * per_head_, linear = first + per_head_ - 2;
  Tensor pooled = x;
  if (config_.kind == ProbeKind::attentive) pooled = attend(first, x);
  if (blocks_) {
    kernels::Stream stream{.x = x};
    blocks_->run(parameters_, head, stream);
    pooled = stream.sum();
  }
  Tensor scores = at::linear(pooled, parameters_[linear], parameters_[linear + 1]);
  if (!segments()) return scores;
  const auto grid = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(x.size(1)))));
  return scores.transpose(1, 2).unflatten(2, {grid, grid});
}

Tensor Probe::loss(int64_t head, const Tensor& x, const Tensor& labels) const {
  Tensor scores = at_least_float(this->scores(head, x));
  if (!segments()) return at::cross_entropy_loss(scores, labels);
  scores = at::upsample_bilinear2d(scores, {labels.size(1), labels.size(2)}, /*align_corners=*/false);
  const Tensor target = labels.to(at::kLong), counted = target.ne(kIgnored).sum().clamp_min(1);
  return at::cross_entropy_loss(scores, target, /*weight=*/{}, at::Reduction::Sum, kIgnored).div(counted);
}

Tensor Probe::named(int64_t head, const Tensor& x, int64_t height, int64_t width) const {
  const Tensor scores = this->scores(head, x);
  if (!segments()) return scores.argmax(1);
  return at::upsample_bilinear2d(at_least_float(scores), {height, width}, /*align_corners=*/false).argmax(1);
}

}  // namespace flowrun::model
