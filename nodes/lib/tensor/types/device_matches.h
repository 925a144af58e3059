// Matches of a group's views on the device.
#pragma once

#include "nodes/lib/host/types/matches.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// Row = picture x pairs + pair. See MatchLayout.
struct DeviceMatches {
  static constexpr const char* type_name = "match tensors";
  MatchLayout layout;
  int64_t pictures = 0;
  Tensor from_ms;      // int64: m = pictures x pairs, s cells each
  Tensor to_ms4;       // int64
  Tensor weights_ms4;  // float32
  Tensor valid_n;      // int64, ascending: m x s + s of the cells whose place lies inside the second view
  void release() { from_ms.reset(), to_ms4.reset(), weights_ms4.reset(), valid_n.reset(); }
  std::string shape() const { return recording::shape(to_ms4) + ", " + recording::shape(valid_n); }
  void refill(const DeviceMatches& from) {
    recording::refill(from_ms, from.from_ms), recording::refill(to_ms4, from.to_ms4);
    recording::refill(weights_ms4, from.weights_ms4), recording::refill(valid_n, from.valid_n);
    layout = from.layout, pictures = from.pictures;
  }
};

}  // namespace flowrun
