// What nodes that train on labels ask of them.
#pragma once

#include <string>

#include "graph/error.h"
#include "nodes/device.h"

namespace flowrun::supervised {

/// Throws NodeError unless there are labels and all are classes. Waits for the device.
inline void check_labels(const Tensor& labels_B, int64_t classes) {
  if (!labels_B.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
  const auto lowest = labels_B.min().item<int64_t>(), highest = labels_B.max().item<int64_t>();
  if (lowest < 0) throw NodeError("an image has no class: training on classes needs class folders");
  if (highest < classes) return;
  throw NodeError("a label is " + std::to_string(highest) + ", but there are classes 0 to " + std::to_string(classes - 1) + "; set classes");
}

}  // namespace flowrun::supervised
