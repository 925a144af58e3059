// Checks of labels, for nodes that train on them.
#pragma once

#include <string>

#include "graph/text/error.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::supervised {

/// Throws NodeError unless there are labels and all are classes.
inline void check_labels(const DeviceLabels& labels, int64_t classes) {
  if (!labels.labels_B.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
  const ClassRange range = labels.range.of(labels.labels_B);
  if (range.least < 0) throw NodeError("an image has no class: training on classes needs class folders");
  if (range.most < classes) return;
  throw NodeError("a label is " + std::to_string(range.most) + ", but there are classes 0 to " + std::to_string(classes - 1) + "; set classes");
}

}  // namespace flowrun::supervised
