#include "nodes/lib/tensor/metric/sweep.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <cmath>

#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/optim/schedule.h"

namespace flowrun::eval {
namespace {

/// AdamW over one tensor whose first axis is the head.
class Moments {
 public:
  explicit Moments(const Tensor& like) : first_(at::zeros_like(like)), second_(at::zeros_like(like)) {}

  /// lr, decay: [H, 1, …].
  void step(Tensor& value, const Tensor& gradient, const Tensor& lr, const Tensor& decay, int64_t step, const SweepOptions& o) {
    value.mul_(lr.mul(decay).neg().add(1));
    first_.lerp_(gradient, 1 - o.beta1);
    second_.mul_(o.beta2).addcmul_(gradient, gradient, 1 - o.beta2);
    const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(step)), correction2 = 1 - std::pow(o.beta2, static_cast<double>(step));
    const Tensor denominator = second_.sqrt().div_(std::sqrt(correction2)).add_(o.eps);
    value.sub_(first_.div(denominator).mul_(lr.div(correction1)));
  }

 private:
  Tensor first_, second_;
};

/// Normalises a batch by its own statistics and moves the running ones.
Tensor normalise(const Tensor& x_BD, Sweep& sweep, double momentum) {
  const double rows = static_cast<double>(x_BD.size(0));
  const Tensor mean = x_BD.mean(0), centred = x_BD.sub(mean), variance = centred.square().mean(0);
  sweep.mean_D.lerp_(mean, momentum);
  sweep.variance_D.lerp_(variance.mul(rows / std::max(1.0, rows - 1)), momentum);
  return centred.mul(variance.add(sweep.bn_eps).rsqrt());
}

}  // namespace

Tensor Sweep::scores(const Tensor& x_BD) const {
  const Tensor n_BD = x_BD.sub(mean_D).mul(variance_D.add(bn_eps).rsqrt());
  return at::linear(n_BD, weights_HCD.flatten(0, 1), bias_HC.flatten()).unflatten(1, {weights_HCD.size(0), weights_HCD.size(1)});
}

std::vector<double> Sweep::accuracy(const Tensor& x_ND, const Tensor& labels) const {
  const at::NoGradGuard no_grad;
  const Float32 precision;
  constexpr int64_t chunk = 1024;
  Tensor right_H = at::zeros({weights_HCD.size(0)}, labels.options());
  for (int64_t begin = 0; begin < x_ND.size(0); begin += chunk) {
    const Tensor named_BH = scores(x_ND.slice(0, begin, begin + chunk)).argmax(2);
    right_H.add_(named_BH.eq(labels.slice(0, begin, begin + chunk).unsqueeze(1)).sum(0));
  }
  const Tensor share = right_H.to(at::kCPU, at::kDouble).div(static_cast<double>(labels.numel()));
  return {share.const_data_ptr<double>(), share.const_data_ptr<double>() + share.numel()};
}

Sweep train_sweep(const Tensor& train_ND, const Tensor& labels, const Tensor& start_CD, const SweepOptions& options,
                  const std::function<Tensor(int64_t epoch)>& order) {
  const at::NoGradGuard no_grad;
  // Features and heads are float32 whatever the run's precision.
  const Float32 precision;
  const int64_t heads = options.heads(), classes = start_CD.size(0), width = train_ND.size(1), rows = train_ND.size(0);
  const auto like = train_ND.options();
  Sweep sweep{start_CD.to(like).unsqueeze(0).repeat({heads, 1, 1}), at::zeros({heads, classes}, like), at::zeros({width}, like),
              at::ones({width}, like), options.bn_eps};
  Moments weight_moments(sweep.weights_HCD), bias_moments(sweep.bias_HC);
  std::vector<double> peaks, decays;
  for (int64_t h = 0; h < heads; ++h) {
    peaks.push_back(options.lrs[static_cast<size_t>(h) / options.decays.size()]);
    decays.push_back(options.decays[static_cast<size_t>(h) % options.decays.size()]);
  }
  const Tensor peak_H = at::tensor(peaks, like), decay_H = at::tensor(decays, like);

  const int64_t batch = std::min(options.batch, rows), per_epoch = rows / batch, total = options.epochs * per_epoch;
  const train::Length length{total, static_cast<int64_t>(options.warmup * static_cast<double>(total))};
  const train::Warmup schedule{0, 1, 0};
  int64_t step = 0;
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    const Tensor index = order(epoch).to(train_ND.device());
    for (int64_t i = 0; i < per_epoch; ++i) {
      const Tensor part = index.narrow(0, i * batch, batch);
      const Tensor x_BD = normalise(train_ND.index_select(0, part), sweep, options.bn_momentum);
      const Tensor truth_BH1 = labels.index_select(0, part).view({-1, 1, 1}).expand({batch, heads, 1});
      const Tensor scores_BHC = at::linear(x_BD, sweep.weights_HCD.flatten(0, 1), sweep.bias_HC.flatten()).view({batch, heads, classes});
      Tensor error_BHC = scores_BHC.softmax(2);  // becomes the gradient of the mean cross-entropy
      error_BHC.scatter_add_(2, truth_BH1, at::full_like(truth_BH1, -1, like)).div_(static_cast<double>(batch));
      const Tensor gradient_HCD = error_BHC.flatten(1).t().matmul(x_BD).view({heads, classes, width});
      const Tensor lr_H = peak_H.mul(schedule.at(++step, length));
      weight_moments.step(sweep.weights_HCD, gradient_HCD, lr_H.view({-1, 1, 1}), decay_H.view({-1, 1, 1}), step, options);
      bias_moments.step(sweep.bias_HC, error_BHC.sum(0), lr_H.unsqueeze(1), at::zeros_like(lr_H).unsqueeze(1), step, options);
    }
  }
  return sweep;
}

}  // namespace flowrun::eval
