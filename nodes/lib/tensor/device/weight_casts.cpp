#include "nodes/lib/tensor/device/weight_casts.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_copy.h>
#include <c10/util/intrusive_ptr.h>
#include <torch/csrc/autograd/custom_function.h>
#include <unordered_map>
#include <vector>

#include "nodes/lib/tensor/device/recording.h"

namespace flowrun {
namespace {

using torch::autograd::AutogradContext, torch::autograd::variable_list;

using WeakTensor = c10::weak_intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

struct Cast {
  WeakTensor of;
  Tensor values;
  int64_t version;  // of the parameter, when it was cast
};

std::unordered_map<const c10::TensorImpl*, Cast>& casts() {
  static thread_local std::unordered_map<const c10::TensorImpl*, Cast> all;
  return all;
}

/// The parameter of a cast, if it still exists.
Tensor parameter_of(const Cast& cast) {
  auto impl = cast.of.lock();
  return impl ? Tensor(std::move(impl)) : Tensor();
}

/// The cast in place of the parameter; the gradient returns in the parameter's type.
struct InPlaceOf : torch::autograd::Function<InPlaceOf> {
  static Tensor forward(AutogradContext*, const Tensor&, const Tensor& values) { return values.detach(); }
  static variable_list backward(AutogradContext*, const variable_list& gradients) { return {gradients[0].to(at::kFloat), Tensor()}; }
};

/// Undefined where no cast may be made: a recording would make a new cast at each play, and its memory would be reused in between.
Tensor current_cast(const Tensor& parameter, at::ScalarType type) {
  const at::NoGradGuard no_grad;
  const auto found = casts().find(parameter.unsafeGetTensorImpl());
  Cast* const cast = found == casts().end() || found->second.of.expired() ? nullptr : &found->second;
  const bool fits = cast != nullptr && cast->values.scalar_type() == type && cast->values.sizes() == parameter.sizes();
  if (fits && cast->version == static_cast<int64_t>(parameter._version())) return cast->values;
  if (recording::number() != 0) return {};
  if (fits) {
    cast->values.copy_(parameter);
    cast->version = static_cast<int64_t>(parameter._version());
    return cast->values;
  }
  Tensor values = parameter.detach().to(type);
  casts().insert_or_assign(parameter.unsafeGetTensorImpl(),
                           Cast{WeakTensor(parameter.getIntrusivePtr()), values, static_cast<int64_t>(parameter._version())});
  return values;
}

}  // namespace

Tensor cast_weight(const Tensor& parameter) {
  const auto device = parameter.device().type();
  if (parameter.scalar_type() != at::kFloat || !parameter.is_leaf() || !at::autocast::is_autocast_enabled(device)) return parameter;
  Tensor values = current_cast(parameter, at::autocast::get_autocast_dtype(device));
  if (!values.defined()) return parameter.to(at::autocast::get_autocast_dtype(device));
  if (!at::GradMode::is_enabled() || !parameter.requires_grad()) return values;
  return InPlaceOf::apply(parameter, values);
}

void refresh_casts() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> to, from;
  std::erase_if(casts(), [](const auto& entry) { return entry.second.of.expired(); });
  for (auto& [key, cast] : casts()) {
    const Tensor parameter = parameter_of(cast);
    if (!parameter.defined() || cast.version == static_cast<int64_t>(parameter._version())) continue;
    to.push_back(cast.values), from.push_back(parameter);
    cast.version = static_cast<int64_t>(parameter._version());
  }
  if (!to.empty()) at::_foreach_copy_(to, from);
}

}  // namespace flowrun
