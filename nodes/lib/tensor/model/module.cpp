#include "nodes/lib/tensor/model/module.h"

#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <stdexcept>

#include "graph/text/error.h"
#include "nodes/lib/tensor/types/tensor_state.h"

namespace flowrun::model {
namespace {

/// The array of a checkpoint; throws std::runtime_error that names it.
const StateArray& array_of(const State& state, const std::string& name) {
  const auto found = state.find(name);
  if (found == state.end()) throw std::runtime_error("the checkpoint has no array \"" + name + "\"");
  return found->second;
}

}  // namespace

size_t Buffers::add(std::string name, Tensor value) {
  const bool taken = std::any_of(list_.begin(), list_.end(), [&](const auto& buffer) { return buffer.first == name; });
  if (taken) throw std::invalid_argument("two buffers named \"" + name + "\"");
  list_.emplace_back(std::move(name), std::move(value));
  return list_.size() - 1;
}

void Buffers::to(at::Device device, at::ScalarType dtype) {
  for (auto& [name, value] : list_) {
    if (value.is_meta()) continue;  // a shape without values
    value = value.is_floating_point() ? value.to(device, dtype) : value.to(device);
  }
}

void Module::to(at::Device device, at::ScalarType dtype) {
  parameters_.to(device, dtype);
  buffers_.to(device, dtype);
}

std::unique_ptr<Module> Module::clone() const {
  std::unique_ptr<Module> copy = fresh();
  if (parameters_.size() > 0) copy->to(parameters_[0].device(), parameters_[0].scalar_type());
  copy->parameters_.copy_from(parameters_);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < buffers_.size(); ++i) copy->buffers_[i].copy_(buffers_[i]);
  return copy;
}

void require_not_frozen(const Module& module, const std::string& name) {
  if (module.frozen()) throw NodeError("the model " + name + " is frozen: drop \"frozen\" from it, or leave it out here");
}

std::optional<Cost> Module::cost(const Pass&) const { return {}; }

State Module::save() const {
  std::vector<std::pair<std::string, Tensor>> tensors(buffers_.begin(), buffers_.end());
  for (const Parameter& parameter : parameters_) tensors.emplace_back(parameter.name, parameter.value);
  for (auto& note : notes()) tensors.push_back(std::move(note));
  return to_state(tensors);
}

void Module::restore(const State& state) {
  for (const Parameter& parameter : parameters_) {
    try {
      parameters_.assign(parameter.name, to_tensor(array_of(state, parameter.name)));
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error(std::string("the checkpoint fits another model: ") + error.what());
    }
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, value] : buffers_) {
    const Tensor saved = to_tensor(array_of(state, name));
    if (saved.sizes() != value.sizes()) throw std::runtime_error("the checkpoint fits another model: \"" + name + "\" has another shape");
    value.copy_(saved);
  }
}

}  // namespace flowrun::model
