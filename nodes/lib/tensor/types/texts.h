// Texts on the device.
#pragma once

#include "nodes/lib/host/types/text_types.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// Texts as numbers of a vocabulary, one row for each picture.
struct DeviceTexts {
  static constexpr const char* type_name = "text tensor";
  Tensor ids_BT;      // int64
  Tensor end_B;       // int64: where the end of each stands
  int64_t most = -1;  // the largest number, as read on the host
  void release() { ids_BT.reset(), end_B.reset(); }
  std::string shape() const { return recording::shape(ids_BT) + ", " + recording::shape(end_B); }
  void refill(const DeviceTexts& from) {
    recording::refill(ids_BT, from.ids_BT), recording::refill(end_B, from.end_B);
    most = from.most;
  }
  static void plan(const PlannedGroup& group, Planned& out) { TextBatch::plan(group, out); }
};

}  // namespace flowrun
