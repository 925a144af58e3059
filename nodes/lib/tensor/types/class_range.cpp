#include <ATen/core/Tensor.h>

#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {

ClassRange ClassRange::of(const Tensor& labels, int64_t ignored) const {
  if (known) return *this;
  const Tensor wide = labels.to(at::kLong), classes = wide.masked_select(wide.ne(ignored));
  if (classes.numel() == 0) return {.known = true};
  return {.known = true, .least = classes.min().item<int64_t>(), .most = classes.max().item<int64_t>()};
}

}  // namespace flowrun
