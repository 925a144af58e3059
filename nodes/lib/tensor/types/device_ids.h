// Which samples of a source a group holds, on the device.
#pragma once

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// Indices in the source, int64 [B], one for each view of a sample; or [B, n] of samples that were drawn for each.
struct DeviceIds {
  static constexpr const char* type_name = "sample id tensor";
  Tensor ids;
  void release() { ids.reset(); }
  std::string shape() const { return recording::shape(ids); }
  void refill(const DeviceIds& from) { recording::refill(ids, from.ids); }
  static void plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images}, "int64", 8); }
};

}  // namespace flowrun
