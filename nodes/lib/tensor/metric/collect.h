// The features of a whole stream, group after group, as evaluation nodes gather them.
#pragma once

#include "graph/contract/context.h"
#include "graph/text/error.h"
#include "nodes/lib/tensor/metric/train_test.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::eval {

/// Refuses images without classes before the run. For the ports `train` and `test`.
inline void require_classes(const OpenContext& context) {
  for (const char* port : {"train", "test"}) {
    const SourceData* const data = context.input(port);
    if (data == nullptr || data->place.empty()) continue;
    if (!data->labels_read) throw NodeError(std::string(port) + " has no labels: connect label from the source to batch.stack and device.upload");
    if (!data->classes.empty()) continue;
    throw NodeError(std::string(port) +
                    " has no classes: evaluations of classes need class folders, shards with labels, or a list with labels, but " + data->place +
                    " has none");
  }
}

/// The features of a stream, row by row.
struct LabelledFeatures {
  Tensor values_ND;  ///< float32
  Tensor labels_N;   ///< int64, none negative
};

class Collected {
 public:
  using Group = Features;
  void add(const Features& group) {
    if (!group.labels_B.defined()) throw NodeError("the features have no labels: connect label from the source to batch.stack and device.upload");
    values_.push_back(group.values_BD);
    labels_.push_back(group.labels_B);
  }
  /// The features of all ranks, in the order of the stream; added features are dropped. Collective.
  LabelledFeatures take(const RunInfo& run) {
    LabelledFeatures all{ranks::rows(run, values_, "gathering features"), ranks::rows(run, labels_, "gathering labels")};
    if (all.labels_N.min().item<int64_t>() < 0) throw NodeError("an image has no class: evaluations of classes need class folders");
    return all;
  }

 private:
  std::vector<Tensor> values_, labels_;
};

/// The common members of evaluations on features and classes. A node adds its `info` and
/// `void score(const LabelledFeatures& train, const LabelledFeatures& test, EvaluationContext&) const`; see TrainTest.
template <class Node>
struct OnFeatures : TrainTest<Node, Collected> {
  struct Ports : TrainTestPorts<Features> {
    explicit Ports(const char* train = "Features to fit on.", const char* test = "Features to classify.") : TrainTestPorts(train, test) {}
  };
  void open(const OpenContext& context) { require_classes(context); }
};

}  // namespace flowrun::eval
