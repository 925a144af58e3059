#include "nodes/lib/tensor/device/send.h"

#include <ATen/ops/from_blob.h>
#include <cstring>

namespace flowrun {

Tensor send_batch(const void* values, at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  const Tensor host = at::from_blob(const_cast<void*>(values), shape, at::TensorOptions(type));
  return device.is_cpu() ? host.clone() : host.to(device, type, /*non_blocking=*/true);
}

Tensor send(const void* values, at::IntArrayRef shape, at::ScalarType type, at::Device device) {
  if (device.is_cpu()) return send_batch(values, shape, type, device);
  BatchBytes staged(static_cast<size_t>(c10::multiply_integers(shape)) * c10::elementSize(type));
  if (!staged.empty()) std::memcpy(staged.data(), values, staged.size());
  return send_batch(staged.data(), shape, type, device);
}

Tensor send(const Tensor& host, at::Device device) {
  if (device.is_cpu()) return host;
  const Tensor dense = host.contiguous();
  return send(dense.const_data_ptr(), dense.sizes(), dense.scalar_type(), device);
}

}  // namespace flowrun
