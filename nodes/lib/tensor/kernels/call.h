// The table of a device's kernels, and the types and memory of tensors, as calls of kernels need them (kernels.cpp, attention.cpp).
#pragma once

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/tensor/kernels/cpu.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::kernels {

/// The kernels of a tensor's device, which is the current one meanwhile.
class On {
 public:
  explicit On(at::Device device) {
    if (device.is_cpu()) return;
    const CudaModule& module = CudaModule::get();
    if (!device.is_cuda() || !module.missing.empty()) throw std::invalid_argument("there are no kernels for tensors on " + device.str());
    guard_.reset_device(device);
    backend_ = module.kernels();
  }
  explicit On(const Tensor& x) : On(x.device()) {}
  const Backend* operator->() const { return backend_; }

 private:
  c10::OptionalDeviceGuard guard_;
  const Backend* backend_ = instead_of_cpu_backend != nullptr ? instead_of_cpu_backend : &cpu_backend();
};

inline Type type_of(at::ScalarType type) {
  if (type == at::kFloat) return Type::f32;
  if (type == at::kBFloat16) return Type::bf16;
  if (type == at::kDouble) return Type::f64;
  throw std::invalid_argument(std::string("the kernels need float32, bfloat16 or float64, not ") + at::toString(type));
}

inline at::ScalarType accumulation(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

/// Dense, in the accumulation type of `like`.
inline Tensor wide(const Tensor& x, const Tensor& like) { return x.to(accumulation(like.scalar_type())).contiguous(); }

inline Tensor empty(at::IntArrayRef shape, const Tensor& like, at::ScalarType type) { return at::empty(shape, like.options().dtype(type)); }

inline void* memory(const Tensor& x) { return x.defined() ? x.mutable_data_ptr() : nullptr; }
inline const void* values(const Tensor& x) { return x.defined() ? x.const_data_ptr() : nullptr; }

inline void check(bool right, const char* what) {
  if (!right) throw std::invalid_argument(what);
}

}  // namespace flowrun::kernels
