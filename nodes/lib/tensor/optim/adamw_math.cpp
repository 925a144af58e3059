#include "nodes/lib/tensor/optim/adamw_math.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace flowrun::train {

bool is_decayed(const model::Parameter& parameter, bool decay_tokens) {
  if (parameter.init == model::Init::token && !decay_tokens) return false;
  return parameter.value.dim() > 1 && parameter.name.find("bias") == std::string::npos;
}

std::vector<std::string> undecayed_names(const model::Parameters& parameters, bool decay_tokens) {
  std::vector<std::string> names;
  for (const auto& parameter : parameters) {
    if (!is_decayed(parameter, decay_tokens)) names.push_back(parameter.name);
  }
  return names;
}

std::vector<double> layer_decay_factors(const model::Parameters& parameters, double decay) {
  const auto block_of = [](const std::string& name) { return name.starts_with("blocks.") ? std::stoll(name.substr(7)) + 1 : 0; };
  int64_t depth = 0;
  for (const auto& parameter : parameters) depth = std::max<int64_t>(depth, block_of(parameter.name));
  std::vector<double> factors;
  for (const auto& [name, value, init, block, first] : parameters) {
    const bool embedding = name.starts_with("patch_embed.") || init == model::Init::token;
    const int64_t layer = name.starts_with("blocks.") ? block_of(name) : embedding ? 0 : depth + 1;
    factors.push_back(std::pow(decay, static_cast<double>(depth + 1 - layer)));
  }
  return factors;
}

void AdamW::add(std::string prefix, model::Parameters& parameters, double lr_multiplier, const std::vector<double>& factors, std::vector<bool> kept) {
  for (const auto& group : groups_) {
    if (group.prefix == prefix) throw std::invalid_argument("two models named \"" + prefix + "\" in one optimizer");
  }
  if (kept.empty()) kept.assign(parameters.size(), true);
  Group group{std::move(prefix), &parameters, std::vector<Slot>(parameters.size()), std::move(kept), {}};
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!group.kept.at(i)) continue;
    const double factor = lr_multiplier * (factors.empty() ? 1.0 : factors.at(i));
    group.buckets[{is_decayed(parameters.at(i), options_.decay_tokens), factor}].push_back(i);
  }
  groups_.push_back(std::move(group));
}

void AdamW::step_bucket(Group& group, const std::vector<size_t>& members, double lr, double weight_decay) {
  std::vector<Tensor> values, gradients, exp_avgs, exp_avg_sqs, steps;
  for (const size_t i : members) {
    const model::Parameter& parameter = group.parameters->at(i);
    const Tensor& gradient = parameter.value.grad();
    if (!gradient.defined()) continue;
    Slot& slot = group.slots[i];
    if (!slot.step.defined()) {
      slot.exp_avg = at::zeros_like(parameter.value);
      slot.exp_avg_sq = at::zeros_like(parameter.value);
      slot.step = at::zeros({}, parameter.value.options().dtype(at::kFloat));
    }
    values.push_back(parameter.value);
    gradients.push_back(gradient);
    exp_avgs.push_back(slot.exp_avg);
    exp_avg_sqs.push_back(slot.exp_avg_sq);
    steps.push_back(slot.step);
  }
  if (values.empty()) return;
  at::_foreach_add_(steps, 1);
  at::_fused_adamw_(values, gradients, exp_avgs, exp_avg_sqs, /*max_exp_avg_sqs=*/at::TensorList(), steps, lr, options_.beta1, options_.beta2,
                    weight_decay, options_.eps, /*amsgrad=*/false, /*maximize=*/false);
  // The fused operator is the one in place that doesn't say so, and casts of weights are made anew after a change alone.
  for (const Tensor& value : values) value.unsafeGetTensorImpl()->bump_version();
}

void AdamW::step(double lr, double weight_decay) {
  const at::NoGradGuard no_grad;
  for (auto& group : groups_) {
    for (const auto& [kind, members] : group.buckets) step_bucket(group, members, lr * kind.second, kind.first ? weight_decay : 0.0);
  }
}

void AdamW::zero_grad() {
  for (auto& group : groups_) group.parameters->zero_grad();
}

std::vector<std::pair<std::string, Tensor>> AdamW::state() const {
  std::vector<std::pair<std::string, Tensor>> state;
  for (const auto& group : groups_) {
    for (size_t i = 0; i < group.slots.size(); ++i) {
      const Slot& slot = group.slots[i];
      if (!slot.step.defined()) continue;
      const std::string name = group.prefix + "." + group.parameters->at(i).name;
      state.emplace_back(name + ".exp_avg", slot.exp_avg);
      state.emplace_back(name + ".exp_avg_sq", slot.exp_avg_sq);
      state.emplace_back(name + ".step", slot.step);
    }
  }
  return state;
}

void AdamW::restore(std::string_view name, const Tensor& value) {
  const at::NoGradGuard no_grad;
  for (auto& group : groups_) {
    if (!name.starts_with(group.prefix + ".")) continue;
    const std::string_view rest = name.substr(group.prefix.size() + 1);
    const size_t dot = rest.rfind('.');
    if (dot == std::string_view::npos) continue;
    const std::string_view field = rest.substr(dot + 1);
    for (size_t i = 0; i < group.slots.size(); ++i) {
      const model::Parameter& parameter = group.parameters->at(i);
      if (parameter.name != rest.substr(0, dot)) continue;
      Slot& slot = group.slots[i];
      if (!group.kept[i]) return;
      if (field == "step" && value.numel() == 1) {
        slot.step = value.reshape({}).to(parameter.value.device(), at::kFloat, false, /*copy=*/true);
        return;
      }
      Tensor* moment = field == "exp_avg" ? &slot.exp_avg : field == "exp_avg_sq" ? &slot.exp_avg_sq : nullptr;
      if (!moment || value.sizes() != parameter.value.sizes()) break;
      *moment = value.to(parameter.value.device(), parameter.value.scalar_type(), false, /*copy=*/true);
      return;
    }
  }
  throw std::invalid_argument("optimizer state \"" + std::string(name) + "\" fits no parameter");
}

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
