#include "nodes/lib/tensor/model/sync_batch_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <torch/csrc/autograd/custom_function.h>
#include <utility>
#include <vector>

#include "graph/text/error.h"
#include "nodes/lib/tensor/ranks/ranks.h"

namespace flowrun::model {
namespace {

using torch::autograd::AutogradContext, torch::autograd::variable_list;

/// All axes but that of the channels.
std::vector<int64_t> others(const Tensor& x) {
  std::vector<int64_t> axes = {0};
  for (int64_t axis = 2; axis < x.dim(); ++axis) axes.push_back(axis);
  return axes;
}

/// [C] in the shape that broadcasts over x.
Tensor along(const Tensor& of_channels, const Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = x.size(1);
  return of_channels.to(x.scalar_type()).view(shape);
}

Tensor channel_sums(const Tensor& x) { return x.sum(others(x), /*keepdim=*/false, at::kDouble); }

/// (x - mean) / standard deviation, over all ranks' rows; the gradient goes through both.
struct Normalise : torch::autograd::Function<Normalise> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& mean, const Tensor& inverse, double count, const RunInfo* run) {
    Tensor normal = x.sub(along(mean, x)).mul(along(inverse, x));
    context->save_for_backward({normal, inverse});
    context->saved_data["count"] = count;
    context->saved_data["run"] = reinterpret_cast<int64_t>(run);  // outlives every pass
    return normal;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Tensor &normal = saved[0], &inverse = saved[1];
    const auto& run = *reinterpret_cast<const RunInfo*>(context->saved_data["run"].toInt());
    const Tensor gradient = gradients[0].to(normal.scalar_type());
    const Tensor sums = at::cat({channel_sums(gradient), channel_sums(gradient.mul(normal))});
    const Tensor means = ranks::device_sum(run, sums, "the gradients of batch norms").div(context->saved_data["count"].toDouble());
    const int64_t channels = normal.size(1);
    const Tensor of_mean = along(means.narrow(0, 0, channels), normal), of_deviation = along(means.narrow(0, channels, channels), normal);
    return {gradient.sub(of_mean).sub(normal.mul(of_deviation)).mul(along(inverse, normal)), {}, {}, {}, {}};
  }
};

}  // namespace

Tensor sync_batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, const RunInfo& run, Measured& measured) {
  Tensor mean, inverse;
  double count = 0;
  {
    const at::NoGradGuard no_grad;
    const int64_t channels = x.size(1);
    const Tensor all = ranks::device_sum(run, at::cat({channel_sums(x), channel_sums(x.square())}), "the statistics of batch norms");
    const int64_t rows = x.numel() / channels * run.world;  // ranks have equally many pictures
    count = static_cast<double>(rows);
    if (count < 2) throw NodeError("a batch norm needs more than one value of each channel: enlarge the batch");
    mean = all.narrow(0, 0, channels).div(count);
    const Tensor variance = all.narrow(0, channels, channels).div(count).sub(mean.square()).clamp_min(0);
    inverse = variance.add(eps).rsqrt();
    measured = {mean.to(x.scalar_type()), variance.mul(count / (count - 1)).to(x.scalar_type())};
  }
  const Tensor normal = Normalise::apply(x, mean, inverse, count, &run);
  const Tensor scaled = weight.defined() ? normal.mul(along(weight, x)) : normal;
  return bias.defined() ? scaled.add(along(bias, x)) : scaled;
}

}  // namespace flowrun::model
