#include "nodes/lib/tensor/metric/logistic_math.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_unique.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace flowrun::eval {
namespace {

/// The objective of one fit. Rows are processed in chunks, to limit the memory of their scores.
class Objective {
 public:
  Objective(const Tensor& x_ND, const Tensor& target_N, int64_t classes, double penalty)
      : x_ND_(x_ND), target_N_(target_N), classes_(classes), penalty_(penalty) {}

  double operator()(const Tensor& packed, Tensor& gradient) const {
    const int64_t rows = x_ND_.size(0), width = x_ND_.size(1), chunk = std::max<int64_t>(1, (int64_t{1} << 24) / classes_);
    const Tensor weights_CD = packed.narrow(0, 0, classes_ * width).view({classes_, width}), bias_C = packed.narrow(0, classes_ * width, classes_);
    Tensor loss = at::zeros({}, packed.options()), d_weights = at::zeros_like(weights_CD), d_bias = at::zeros_like(bias_C);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const Tensor x = x_ND_.slice(0, begin, begin + chunk), target = target_N_.slice(0, begin, begin + chunk).unsqueeze(1);
      const Tensor scores = at::linear(x, weights_CD, bias_C), log_sum = scores.logsumexp(1, /*keepdim=*/true);
      loss = loss.add(log_sum.sub(scores.gather(1, target)).sum());
      Tensor error = scores.sub(log_sum).exp_();  // probabilities, less 1 where the truth is
      error.scatter_add_(1, target, at::full_like(target, -1, error.options()));
      d_weights.addmm_(error.t(), x), d_bias.add_(error.sum(0));
    }
    const double share = 1.0 / static_cast<double>(rows);
    gradient = at::cat({d_weights.mul(share).add(weights_CD, penalty_).flatten(), d_bias.mul(share)});
    return loss.mul(share).add(weights_CD.square().sum(), 0.5 * penalty_).item<double>();
  }

 private:
  const Tensor &x_ND_, &target_N_;
  int64_t classes_;
  double penalty_;
};

}  // namespace

Standardiser::Standardiser(const Tensor& train_ND) {
  const Tensor x = train_ND.to(at::kDouble);
  mean_D = x.mean(0);
  const Tensor deviation = x.sub(mean_D).square().mean(0).sqrt();
  deviation_D = at::where(deviation.gt(1e-12), deviation, at::ones_like(deviation));
}

Tensor Standardiser::apply(const Tensor& x_ND) const { return x_ND.to(at::kDouble).sub(mean_D).div(deviation_D); }

Tensor Logistic::predict(const Tensor& x_ND) const {
  const at::NoGradGuard no_grad;
  return classes_C.index_select(0, at::linear(x_ND, weights_CD, bias_C).argmax(1));
}

double Logistic::accuracy(const Tensor& x_ND, const Tensor& labels) const {
  return static_cast<double>(predict(x_ND).eq(labels).sum().item<int64_t>()) / static_cast<double>(labels.numel());
}

Logistic fit_logistic(const Tensor& x_ND, const Tensor& labels, double c, const LbfgsOptions& options, const Logistic* start) {
  const at::NoGradGuard no_grad;
  const int64_t width = x_ND.size(1);
  Logistic fit;
  Tensor target_N;
  std::tie(fit.classes_C, target_N) = at::_unique(labels, /*sorted=*/true, /*return_inverse=*/true);
  const int64_t classes = fit.classes_C.numel();
  if (classes < 2) throw std::invalid_argument("logistic regression of rows that are all of one class");
  const bool goes_on = start && start->classes_C.equal(fit.classes_C);
  const Tensor begin = goes_on ? at::cat({start->weights_CD.flatten(), start->bias_C}) : at::zeros({classes * (width + 1)}, x_ND.options());
  const Objective objective(x_ND, target_N, classes, 1.0 / (c * static_cast<double>(x_ND.size(0))));
  const LbfgsResult found = minimise(objective, begin, options);
  fit.weights_CD = found.x.narrow(0, 0, classes * width).view({classes, width});
  fit.bias_C = found.x.narrow(0, classes * width, classes);
  fit.objective = found.value, fit.iterations = found.iterations, fit.converged = found.converged;
  return fit;
}

std::vector<double> capi_cs() {
  std::vector<double> cs;
  for (int i = 0; i < 8; ++i) cs.push_back(std::pow(10.0, -6 + 11.0 * i / 7));
  return cs;
}

BestLogistic choose_logistic(const Tensor& fit_ND, const Tensor& fit_labels, const Tensor& select_ND, const Tensor& select_labels,
                             std::vector<double> cs, const LbfgsOptions& options) {
  std::sort(cs.begin(), cs.end());
  BestLogistic best{{}, 0, -1};
  Logistic last;
  for (const double c : cs) {
    last = fit_logistic(fit_ND, fit_labels, c, options, last.classes_C.defined() ? &last : nullptr);
    const double accuracy = last.accuracy(select_ND, select_labels);
    if (accuracy > best.accuracy) best = {last, c, accuracy};
  }
  return best;
}

}  // namespace flowrun::eval
