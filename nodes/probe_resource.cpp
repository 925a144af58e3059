#include "nodes/probe_resource.h"

#include <ATen/core/grad_mode.h>

#include "nodes/tensor_state.h"

namespace flowrun {
namespace {

/// The arrays of a probe besides its parameters, by name.
std::vector<std::pair<std::string, Tensor>> statistics(const model::Probe& probe) {
  if (!probe.running_mean().defined()) return {};
  return {{"running_mean", probe.running_mean()}, {"running_variance", probe.running_variance()}};
}

}  // namespace

std::unique_ptr<ModelResource> ProbeResource::clone() const {
  auto copy = std::make_unique<ProbeResource>(probe.config());
  const Tensor& like = probe.parameters()[0];
  copy->probe.to(like.device(), like.scalar_type());
  copy->restore(save());
  return copy;
}

State ProbeResource::save() const {
  std::vector<std::pair<std::string, Tensor>> tensors = statistics(probe);
  for (const model::Parameter& parameter : probe.parameters()) tensors.emplace_back(parameter.name, parameter.value);
  return to_state(tensors);
}

void ProbeResource::restore(const State& state) {
  ModelResource::restore(state);
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : statistics(probe)) {
    const auto found = state.find(name);
    if (found == state.end()) throw std::runtime_error("the checkpoint has no array \"" + name + "\"");
    const Tensor saved = to_tensor(found->second);
    if (saved.sizes() != tensor.sizes()) throw std::runtime_error("the checkpoint fits another model: \"" + name + "\" has another shape");
    tensor.copy_(saved);
  }
}

}  // namespace flowrun
