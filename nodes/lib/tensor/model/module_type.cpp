#include "nodes/lib/tensor/model/module_type.h"

#include <ATen/core/grad_mode.h>
#include <set>

#include "nodes/lib/tensor/model/import.h"

namespace flowrun {
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

/// Names and shapes are those of the model itself.
std::string load_own(model::Module& module, const std::string& file) {
  const model::NamedTensors tensors = model::read_weights(file).tensors;
  std::set<std::string> unused, missing;
  std::set<std::string> others;
  for (const auto& [name, value] : tensors) (module.leaves_out(name) ? others : unused).insert(name);
  const at::NoGradGuard no_grad;
  const auto take = [&](const std::string& name, auto&& assign) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) return void(missing.insert(name));
    unused.erase(name);
    assign(found->second);
  };
  for (const model::Parameter& parameter : module.parameters()) {
    take(parameter.name, [&](const Tensor& value) { module.parameters().assign(parameter.name, value); });
  }
  for (const auto& [name, buffer] : module.buffers()) {
    take(name, [&, name = name, buffer = buffer](const Tensor& value) {
      if (value.sizes() != buffer.sizes()) throw std::invalid_argument("\"" + name + "\" has another shape");
      buffer.copy_(value);
    });
  }
  if (!missing.empty()) throw std::invalid_argument("has no " + list(missing) + ": it is of another kind of model, or of another size");
  if (!unused.empty())
    throw std::invalid_argument("has " + list(unused) + ", which the model lacks: it is of another kind of model, or of another size");
  return "all " + std::to_string(module.parameters().size()) + " parameters" + (others.empty() ? "" : "; left out: " + list(others));
}

std::string load(model::Module& module, const std::string& file) {
  auto* const vit = dynamic_cast<model::Vit*>(&module);
  if (vit == nullptr) return load_own(module, file);
  const model::ImportReport report = model::load_weights(*vit, model::to_timm_names(model::read_weights(file), model::Layout::automatic));
  if (!report.complete()) throw std::invalid_argument(report.text());
  return report.text();
}

}  // namespace

void load_given_weights(model::Module& module, const std::string& file, const std::string& name) {
  try {
    log_info(name + ": " + file + ": " + load(module, file));
  } catch (const model::MissingWeights&) {
    throw;
  } catch (const std::exception& error) {
    const std::string text = error.what();
    throw NodeError(text.find(file) == std::string::npos ? file + ": " + text : text);
  }
}

}  // namespace flowrun
