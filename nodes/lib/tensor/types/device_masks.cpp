#include <ATen/ops/zeros.h>

#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {

Tensor DeviceMasks::hidden_BN() const {
  return at::zeros({ordered_n.size(0)}, ordered_n.options().dtype(at::kBool)).index_fill_(0, hidden_n(), true).view({-1, grid * grid});
}

std::string DeviceMasks::shape() const {
  return recording::shape(visible_BK) + ", " + recording::shape(targets_BRM) + ", " + std::to_string(hidden) + " hidden, of " + std::to_string(grid);
}

}  // namespace flowrun
