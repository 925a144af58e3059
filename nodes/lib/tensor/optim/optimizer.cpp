#include "nodes/lib/tensor/optim/optimizer.h"

#include <ATen/core/grad_mode.h>
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

bool Optimizer::decays(const model::Parameter& parameter) const {
  if (decayed_.everything) return decayed_.tokens || parameter.init != model::Init::token;
  return is_decayed(parameter, decayed_.tokens);
}

void Optimizer::add(std::string prefix, model::Parameters& parameters, double lr_multiplier, PerParameter each) {
  for (const auto& group : groups_) {
    if (group.prefix == prefix) throw std::invalid_argument("two models named \"" + prefix + "\" in one optimizer");
  }
  if (each.kept.empty()) each.kept.assign(parameters.size(), true);
  Group group{std::move(prefix),
              &parameters,
              std::vector<States>(parameters.size(), States(rule_->slots().size())),
              std::move(each.kept),
              std::vector<bool>(parameters.size()),
              {}};
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!group.kept.at(i)) continue;
    const double factor = lr_multiplier * (each.factors.empty() ? 1.0 : each.factors.at(i));
    const bool decayed = decays(parameters.at(i)) && (each.undecayed.empty() || !each.undecayed.at(i));
    group.buckets[{decayed, factor, !each.steady.empty() && each.steady.at(i)}].push_back(i);
  }
  groups_.push_back(std::move(group));
}

void Optimizer::let_rest(const std::string& prefix, std::vector<bool> which) {
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& one) { return one.prefix == prefix; });
  if (group == groups_.end()) throw std::out_of_range("no model \"" + prefix + "\" in this optimizer");
  group->rests = std::move(which);
}

void Optimizer::make_states(const Tensor& value, States& states) const {
  for (size_t s = 0; s < states.size(); ++s) {
    if (states[s].defined()) continue;
    states[s] = rule_->slots()[s].scalar ? at::zeros({}, value.options().dtype(at::kFloat)) : at::zeros_like(value);
  }
}

void Optimizer::step_bucket(Group& group, const std::vector<size_t>& members, double lr, double weight_decay, bool resting) {
  Bucket bucket;
  bucket.states.resize(rule_->slots().size());
  for (const size_t i : members) {
    const Tensor& value = group.parameters->at(i).value;
    const Tensor& gradient = value.grad();
    if (!gradient.defined() || (resting && group.rests[i])) continue;
    make_states(value, group.states[i]);
    bucket.values.push_back(value);
    bucket.gradients.push_back(gradient);
    for (size_t s = 0; s < bucket.states.size(); ++s) bucket.states[s].push_back(group.states[i][s]);
  }
  if (bucket.values.empty()) return;
  rule_->update(bucket, lr, weight_decay);
  // The fused operators are the ones in place that don't say so, and casts of weights are made anew after a change alone.
  for (const Tensor& value : bucket.values) value.unsafeGetTensorImpl()->bump_version();
}

void Optimizer::step(double lr, double weight_decay, bool resting, double steady_lr) {
  const at::NoGradGuard no_grad;
  for (auto& group : groups_) {
    for (const auto& [kind, members] : group.buckets) {
      const auto [decayed, factor, steady] = kind;
      step_bucket(group, members, (steady ? steady_lr : lr) * factor, decayed ? weight_decay : 0.0, resting);
    }
  }
}

void Optimizer::zero_grad() {
  for (auto& group : groups_) group.parameters->zero_grad();
}

std::vector<std::pair<std::string, Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, Tensor>> state;
  for (const auto& group : groups_) {
    for (size_t i = 0; i < group.states.size(); ++i) {
      const std::string name = group.prefix + "." + group.parameters->at(i).name + ".";
      for (size_t s = 0; s < group.states[i].size(); ++s) {
        if (group.states[i][s].defined()) state.emplace_back(name + rule_->slots()[s].name, group.states[i][s]);
      }
    }
  }
  return state;
}

bool Optimizer::restore_slot(const Tensor& parameter, States& states, std::string_view slot, const Tensor& value) const {
  for (size_t s = 0; s < states.size(); ++s) {
    const StateSlot& kind = rule_->slots()[s];
    if (slot != kind.name) continue;
    if (kind.scalar ? value.numel() != 1 : value.sizes() != parameter.sizes()) return false;
    const Tensor shaped = kind.scalar ? value.reshape({}) : value;
    states[s] = shaped.to(parameter.device(), kind.scalar ? at::kFloat : parameter.scalar_type(), false, /*copy=*/true);
    return true;
  }
  return false;
}

void Optimizer::restore(std::string_view name, const Tensor& value) {
  const at::NoGradGuard no_grad;
  for (auto& group : groups_) {
    if (!name.starts_with(group.prefix + ".")) continue;
    const std::string_view rest = name.substr(group.prefix.size() + 1);
    const size_t dot = rest.rfind('.');
    if (dot == std::string_view::npos) continue;
    for (size_t i = 0; i < group.states.size(); ++i) {
      const model::Parameter& parameter = group.parameters->at(i);
      if (parameter.name != rest.substr(0, dot)) continue;
      if (!group.kept[i] || restore_slot(parameter.value, group.states[i], rest.substr(dot + 1), value)) return;
    }
  }
  throw std::invalid_argument("optimizer state \"" + std::string(name) + "\" fits no parameter");
}

}  // namespace flowrun::train
