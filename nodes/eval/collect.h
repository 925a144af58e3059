// The features of a whole stream, group after group, as evaluation nodes gather them.
#pragma once

#include <ATen/ops/cat.h>

#include "graph/error.h"
#include "nodes/device.h"

namespace flowrun::eval {

class Collected {
 public:
  void add(const Features& group) {
    if (!group.labels_B.defined()) throw NodeError("the features have no labels: connect label from the source to batch.stack and device.upload");
    values_.push_back(group.values_BD);
    labels_.push_back(group.labels_B);
  }
  Tensor values_ND() const { return at::cat(values_); }
  Tensor labels_N() const {
    const Tensor labels = at::cat(labels_);
    if (labels.min().item<int64_t>() < 0) throw NodeError("an image has no class: evaluations of classes need class folders");
    return labels;
  }
  void clear() { values_.clear(), labels_.clear(); }

 private:
  std::vector<Tensor> values_, labels_;
};

}  // namespace flowrun::eval
