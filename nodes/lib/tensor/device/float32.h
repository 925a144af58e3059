// Numbers that are float32 by contract, whatever the run's precision.
#pragma once

#include <ATen/Context.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// bf16 of autocast becomes float32; float64 stays.
inline Tensor at_least_float(const Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

/// While it lives, this thread's products are float32: neither autocast's type, nor TF32 on a GPU.
class Float32 {
 public:
  Float32() = default;
  Float32(const Float32&) = delete;
  Float32& operator=(const Float32&) = delete;

 private:
  at::NoTF32Guard no_tf32_;
  c10::impl::ExcludeDispatchKeyGuard no_autocast_{c10::autocast_dispatch_keyset};
};

}  // namespace flowrun
