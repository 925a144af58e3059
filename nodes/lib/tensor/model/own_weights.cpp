// A model takes the values of a file that has its own names and shapes.
#include <ATen/core/grad_mode.h>
#include <set>

#include "nodes/lib/tensor/model/import.h"

namespace flowrun::model {
namespace {

std::string list(const std::set<std::string>& names) {
  std::string out;
  size_t shown = 0;
  for (const std::string& name : names) {
    if (++shown > 5) return out + ", and " + std::to_string(names.size() - 5) + " more";
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

}  // namespace

std::string Module::take_weights(const std::string& file) {
  const NamedTensors tensors = read_weights(file).tensors;
  std::set<std::string> unused, missing;
  std::set<std::string> others;
  for (const auto& [name, value] : tensors) (leaves_out(name) ? others : unused).insert(name);
  const at::NoGradGuard no_grad;
  const auto take = [&](const std::string& name, auto&& assign) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return void(missing.insert(name));
    unused.erase(name);
    assign(found->second);
  };
  for (const Parameter& parameter : parameters_) {
    take(parameter.name, [&](const Tensor& value) { parameters_.assign(parameter.name, value); });
  }
  for (const auto& [name, buffer] : buffers_) {
    take(name, [&, name = name, buffer = buffer](const Tensor& value) {
      if (value.sizes() != buffer.sizes()) throw std::invalid_argument("\"" + name + "\" has another shape");
      buffer.copy_(value);
    });
  }
  if (!missing.empty()) throw std::invalid_argument("has no " + list(missing) + ": it is of another kind of model, or of another size");
  if (!unused.empty())
    throw std::invalid_argument("has " + list(unused) + ", which the model lacks: it is of another kind of model, or of another size");
  return "all " + std::to_string(parameters_.size()) + " parameters" + (others.empty() ? "" : "; left out: " + list(others));
}

}  // namespace flowrun::model
