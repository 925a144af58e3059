#include "nodes/lib/tensor/optim/lars_rule.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

namespace flowrun::train {
namespace {

/// One number per tensor.
Tensor norms(const std::vector<Tensor>& tensors) { return at::stack(at::_foreach_norm(tensors, 2)); }

}  // namespace

const std::vector<StateSlot>& LarsRule::slots() const {
  static const std::vector<StateSlot> momentum = {{"momentum_buffer"}};
  return momentum;
}

void LarsRule::update(const Bucket& bucket, double lr, double weight_decay) const {
  Part weights, others;
  for (size_t i = 0; i < bucket.values.size(); ++i) {
    Part& part = options_.one_axis || bucket.values[i].dim() > 1 ? weights : others;
    part.values.push_back(bucket.values[i]);
    part.gradients.push_back(bucket.gradients[i]);
    part.momenta.push_back(bucket.states[0][i]);
  }
  if (!weights.values.empty()) move(weights, adapted(weights, lr, weight_decay), lr);
  if (!others.values.empty()) move(others, others.gradients, lr);
}

/// g' of each tensor.
std::vector<Tensor> LarsRule::adapted(const Part& part, double lr, double weight_decay) const {
  const std::vector<Tensor> decayed = at::_foreach_add(part.gradients, part.values, weight_decay);
  const bool clips = options_.form == LarsForm::clip;
  const Tensor value = norms(part.values), slope = norms(clips ? part.gradients : decayed);
  Tensor ratio = value.mul(options_.eta);
  if (clips) {
    // Without a slope the ratio is 0, which leaves the gradient's zeros in place of the decay.
    ratio = ratio.div(slope.add(value, weight_decay).add(1e-8)).div(lr).clamp_max(1).mul(slope.gt(0));
    ratio = at::where(value.gt(0), ratio, 1.0);
  } else {
    ratio = at::where(value.gt(0).logical_and(slope.gt(0)), ratio.div(slope), 1.0);
  }
  return at::_foreach_mul(decayed, ratio.unbind());
}

void LarsRule::move(const Part& part, const std::vector<Tensor>& directions, double lr) const {
  at::_foreach_mul_(part.momenta, options_.momentum);
  if (options_.form == LarsForm::classic) {
    at::_foreach_add_(part.momenta, directions, lr);
    at::_foreach_sub_(part.values, part.momenta);
  } else {
    at::_foreach_add_(part.momenta, directions);
    at::_foreach_add_(part.values, part.momenta, -lr);
  }
}

}  // namespace flowrun::train
