// The patches of a whole stream with the classes of their pixels, as evaluations of segmentation gather them.
#pragma once

#include <algorithm>

#include "graph/contract/context.h"
#include "graph/text/error.h"
#include "nodes/lib/tensor/metric/label_histogram.h"
#include "nodes/lib/tensor/metric/patches.h"
#include "nodes/lib/tensor/metric/train_test.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::eval {

class CollectedPatches {
 public:
  using Group = EvalTokens;
  void add(const EvalTokens& group) {
    if (!group.maps_BHW.defined()) throw NodeError("there are no label maps: connect them to batch.stack, device.upload and eval.tokens");
    features_.push_back(group.patches_BND().flatten(0, 1));
    pixels_.push_back(cut_maps(group.maps_BHW, group.grid));
    per_image_ = group.grid * group.grid;
  }
  /// The patches of all ranks, in the order of the stream; added patches are dropped. Collective.
  Patches take(const RunInfo& run) {
    const Tensor features = ranks::rows(run, features_, "gathering patches");
    return {features, ranks::rows(run, pixels_, "gathering label maps"), ranks::most(run, per_image_, "comparing patches")};
  }

 private:
  std::vector<Tensor> features_, pixels_;
  int64_t per_image_ = 0;
};

/// The common members of evaluations on patches and label maps. A node adds its `info`, Ports with a description of train, and
/// `void score(Patches train, Patches test, EvaluationContext&) const`; see TrainTest.
template <class Node>
struct OnPatches : TrainTest<Node, CollectedPatches> {
  struct Ports : TrainTestPorts<EvalTokens> {
    explicit Ports(const char* train) : TrainTestPorts(train, "Tokens of the images to segment, with label maps.") {}
  };
};

/// Refuses label maps that would give a meaningless score, and logs warnings about doubtful ones.
inline void check_label_maps(const Patches& train, const Patches& test, const RunInfo& run) {
  const LabelHistogram known = LabelHistogram::of_maps(train.pixels_NF), asked = LabelHistogram::of_maps(test.pixels_NF);
  require_classes(known, "train");
  for (const std::string& doubt : doubts(known, asked)) {
    if (run.rank == 0) log_warning(doubt);
  }
}

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
