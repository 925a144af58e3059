#include <ATen/ops/zeros.h>

#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {

Tensor DeviceMasks::hidden_BN() const {
  return at::zeros({ordered_n.size(0)}, ordered_n.options().dtype(at::kBool)).index_fill_(0, hidden_n(), true).view({-1, grid * grid});
}

std::string DeviceMasks::shape() const {
  return recording::shape(visible_BK) + ", " + recording::shape(targets_BRM) + ", " + std::to_string(hidden) + " hidden, of " + std::to_string(grid);
}

DeviceMasks DeviceMasks::sent(const Masks& in, at::Device device) {
  DeviceMasks out;
  out.grid = in.grid, out.repeats = in.repeats;
  out.visible_BK = send(in.visible.data(), {in.rows(), in.visible_count}, at::kLong, device);
  out.targets_BRM = send(in.targets.data(), {in.rows(), in.regions, in.region_size}, at::kLong, device);
  std::vector<int64_t> ordered;
  out.hidden = in.order(ordered);
  out.ordered_n = send(ordered.data(), {static_cast<int64_t>(ordered.size())}, at::kLong, device);
  return out;
}

}  // namespace flowrun
