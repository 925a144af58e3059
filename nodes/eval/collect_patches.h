// The patches of a whole stream with the classes of their pixels, as evaluations of segmentation gather them.
#pragma once

#include <ATen/ops/cat.h>
#include <algorithm>

#include "graph/error.h"
#include "nodes/device.h"
#include "nodes/eval/patches.h"

namespace flowrun::eval {

class CollectedPatches {
 public:
  void add(const EvalTokens& group) {
    if (!group.maps_BHW.defined()) throw NodeError("there are no label maps: connect them to batch.stack, device.upload and eval.tokens");
    features_.push_back(group.patches_BND().flatten(0, 1));
    pixels_.push_back(cut_maps(group.maps_BHW, group.grid));
    per_image_ = group.grid * group.grid;
  }
  /// What was added, which is forgotten.
  Patches take() {
    Patches all{at::cat(features_), at::cat(pixels_), per_image_};
    features_.clear(), pixels_.clear();
    return all;
  }

 private:
  std::vector<Tensor> features_, pixels_;
  int64_t per_image_ = 0;
};

/// One more than the largest class of both.
inline int64_t class_count(const Patches& a, const Patches& b) {
  int64_t most = -1;
  for (const Tensor& pixels : {a.pixels_NF, b.pixels_NF}) {
    const Tensor known = pixels.masked_select(pixels.ne(255));
    if (known.numel() > 0) most = std::max(most, known.max().item<int64_t>());
  }
  if (most < 0) throw NodeError("no pixel has a label");
  return most + 1;
}

}  // namespace flowrun::eval
