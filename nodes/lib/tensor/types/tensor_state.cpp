#include "nodes/lib/tensor/types/tensor_state.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/from_blob.h>
#include <cmath>

namespace flowrun {
namespace {

const std::pair<at::ScalarType, const char*> dtypes[] = {{at::kFloat, "F32"}, {at::kDouble, "F64"}, {at::kLong, "I64"}};

}  // namespace

State to_state(const std::vector<std::pair<std::string, Tensor>>& tensors) {
  State state;
  for (const auto& [name, tensor] : tensors) {
    const Tensor host = tensor.detach().to(at::kCPU).contiguous();
    const char* dtype = nullptr;
    for (const auto& [type, text] : dtypes) dtype = type == host.scalar_type() ? text : dtype;
    if (dtype == nullptr) throw std::runtime_error("array \"" + name + "\" has a type that checkpoints don't hold");
    const auto keep = std::make_shared<Tensor>(host);
    state[name] = {dtype, host.sizes().vec(), {keep, host.const_data_ptr()}, host.nbytes()};
  }
  return state;
}

Tensor to_tensor(const StateArray& array) {
  for (const auto& [type, text] : dtypes) {
    // from_blob needs writable memory, but nothing writes to it.
    if (array.dtype == text) {
      return at::from_blob(
          const_cast<void*>(array.data.get()), array.shape, [keep = array.data](void*) {}, at::TensorOptions(type));
    }
  }
  throw std::runtime_error("arrays of type " + array.dtype + " are not used by any model");
}

bool is_finite(const StateArray& array) {
  if (!array.dtype.starts_with('F') || array.bytes == 0) return true;
  // NaN propagates through both.
  const auto [least, most] = at::aminmax(to_tensor(array));
  return std::isfinite(least.item<double>()) && std::isfinite(most.item<double>());
}

}  // namespace flowrun
