#include "nodes/lib/tensor/model/batch_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include "graph/text/error.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/ranks/ranks.h"

namespace flowrun::model {
namespace {

constexpr double kEps = 1e-5, kMomentum = 0.1;

}  // namespace

size_t BatchNorms::add(const std::string& name, int64_t channels, bool affine, double gain, bool shift) {
  Norm norm{.channels = channels, .weight = {}, .bias = {}, .mean = 0};
  if (affine) {
    norm.weight =
        gain == 1 ? parameters_.add(name + ".weight", {channels}, Init::ones) : parameters_.add_constant(name + ".weight", {channels}, gain);
    if (shift) norm.bias = parameters_.add(name + ".bias", {channels}, Init::zeros);
  }
  norm.mean = buffers_.add(name + ".running_mean", at::zeros({channels}));
  buffers_.add(name + ".running_var", at::ones({channels}));
  buffers_.add(name + ".num_batches_tracked", at::zeros({}, at::kLong));
  norms_.push_back(norm);
  return norms_.size() - 1;
}

Tensor BatchNorms::apply(size_t number, const Tensor& x_any, const NormPass& pass) const {
  const Norm& norm = norms_[number];
  const Tensor x = at_least_float(x_any);
  const Tensor weight = norm.weight ? parameters_[*norm.weight] : Tensor(), bias = norm.bias ? parameters_[*norm.bias] : Tensor();
  if (!pass.measures) return at::batch_norm(x, weight, bias, buffers_[norm.mean], buffers_[norm.mean + 1], false, 0, kEps, false);
  if (pass.run != nullptr) {  // also in a run of one process: PyTorch's float32 sums differ so much that losses part within a few steps
    Measured measured;
    Tensor out = sync_batch_norm(x, weight, bias, kEps, *pass.run, measured);
    // All ranks measured the same pass, which counts once.
    if (collects_ && pass.run->rank == 0) keep(number, pass, measured);
    return out;
  }
  const int64_t values = x.numel() / x.size(1);
  if (values < 2) throw NodeError("a batch norm needs more than one value of each channel: enlarge the group of batch.stack");
  const auto [out, mean, inverse] = at::native_batch_norm(x, weight, bias, {}, {}, true, 0, kEps);
  if (!collects_) return out;
  const at::NoGradGuard no_grad;
  const double unbiased = static_cast<double>(values) / static_cast<double>(values - 1);
  const Tensor variance = inverse.detach().to(at::kDouble).pow(-2).sub(kEps).mul(unbiased).to(mean.scalar_type());
  keep(number, pass, {mean.detach(), variance});
  return out;
}

void BatchNorms::keep(size_t number, const NormPass& pass, const Measured& measured) const {
  const std::lock_guard lock(mutex_);
  std::vector<Tensor>& of_pass = measured_[{pass.group, pass.stream, pass.view}];
  of_pass.resize(norms_.size());
  of_pass[number] = at::stack({measured.mean, measured.variance});
}

/// [passes, 2 x channels of all norms], in their order.
Tensor BatchNorms::measured() const {
  std::vector<Tensor> rows;
  for (const auto& [place, norms] : measured_) {
    std::vector<Tensor> flat;
    for (const Tensor& one : norms) {
      if (!one.defined()) throw NodeError("a pass left out some of the model's batch norms");
      flat.push_back(one.flatten());
    }
    rows.push_back(at::cat(flat));
  }
  return rows.empty() ? Tensor() : at::stack(rows);
}

void BatchNorms::settle(const RunInfo& run) {
  if (norms_.empty()) return;
  const at::NoGradGuard no_grad;
  const Tensor all = ranks::rows(run, measured(), "the statistics of batch norms");
  measured_.clear();
  if (!all.defined()) return;
  std::vector<Tensor> running;
  for (const Norm& norm : norms_) running.push_back(buffers_[norm.mean]), running.push_back(buffers_[norm.mean + 1]);
  const Tensor moved = at::cat(running);
  for (int64_t pass = 0; pass < all.size(0); ++pass) moved.mul_(1 - kMomentum).add_(all[pass], kMomentum);
  int64_t at = 0;
  for (const Norm& norm : norms_) {
    buffers_[norm.mean].copy_(moved.narrow(0, at, norm.channels));
    buffers_[norm.mean + 1].copy_(moved.narrow(0, at + norm.channels, norm.channels));
    buffers_[norm.mean + 2].add_(all.size(0));
    at += 2 * norm.channels;
  }
}

}  // namespace flowrun::model
