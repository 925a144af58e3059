#include "nodes/lib/tensor/optim/adamw_math.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_fused_adamw.h>
#include <memory>
#include <stdexcept>

namespace flowrun::train {

const std::vector<StateSlot>& AdamWRule::slots() const {
  static const std::vector<StateSlot> all = {{"exp_avg"}, {"exp_avg_sq"}, {"step", /*scalar=*/true}};
  return all;
}

void AdamWRule::update(const Bucket& bucket, double lr, double weight_decay) const {
  const auto& steps = bucket.states[2];
  at::_foreach_add_(steps, 1);
  at::_fused_adamw_(bucket.values, bucket.gradients, bucket.states[0], bucket.states[1], /*max_exp_avg_sqs=*/at::TensorList(), steps, lr,
                    options_.beta1, options_.beta2, weight_decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
}

AdamW::AdamW(AdamWOptions options) : Optimizer(std::make_shared<AdamWRule>(options), {.tokens = options.decay_tokens}) {}

void ema_update(model::Parameters& target, const model::Parameters& source, double momentum) {
  std::vector<Tensor> targets, sources;
  for (size_t i = 0; i < target.size(); ++i) {
    if (source.size() != target.size() || source.at(i).name != target.at(i).name) {
      throw std::invalid_argument("the moving average needs two models of the same parameters");
    }
    targets.push_back(target[i]);
    sources.push_back(source[i]);
  }
  const at::NoGradGuard no_grad;
  at::_foreach_lerp_(targets, sources, 1.0 - momentum);
}

}  // namespace flowrun::train
