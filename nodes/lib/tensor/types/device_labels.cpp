#include <algorithm>

#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {

DeviceLabels DeviceLabels::sent(const LabelBatch& in, int64_t images, at::Device device) {
  const auto [least, most] = std::minmax_element(in.values.begin(), in.values.begin() + images);
  return {.labels_B = send(in.values.data(), {images}, at::kLong, device), .range = {.known = true, .least = *least, .most = *most}};
}

}  // namespace flowrun
