#include "nodes/lib/tensor/model/staged.h"

#include <algorithm>

#include "graph/text/error.h"

namespace flowrun::model {

Tensor Staged::encode_map(const Tensor&, const EncodeOptions&) const { throw NodeError("a whole network takes pictures, not maps"); }

std::vector<StageShape> stages_of(const Encoder& encoder, const std::vector<int64_t>& stages, double side) {
  std::vector<StageShape> found;
  const auto* const staged = dynamic_cast<const Staged*>(&encoder);
  if (staged == nullptr) return found;
  for (const StageShape& shape : staged->stages(side)) {
    if (std::find(stages.begin(), stages.end(), shape.stage) != stages.end()) found.push_back(shape);
  }
  return found;
}

int64_t channels_of(const Encoder& encoder, int64_t stage, const std::string& name) {
  const std::vector<StageShape> found = stages_of(encoder, {stage}, 0);
  if (found.empty()) throw NodeError(name + " has no stage " + std::to_string(stage));
  return static_cast<int64_t>(found[0].channels);
}

void check_stages(NodePlan& plan, const Encoder& encoder, const std::vector<int64_t>& stages, const std::string& name) {
  if (stages.empty()) return;
  const auto* const staged = dynamic_cast<const Staged*>(&encoder);
  if (staged == nullptr) {
    plan.fault("stages", name + " has no stages", "give this node a model.resnet or model.wide_resnet, or leave stages out");
    return;
  }
  const auto count = static_cast<int64_t>(staged->stages(0).size());
  if (stages.back() <= count) return;
  plan.fault("stages", "stage " + std::to_string(stages.back()) + " is asked for, but " + name + " has " + std::to_string(count),
             "stage 1 is the stem, stage " + std::to_string(count) + " the last one");
}

}  // namespace flowrun::model
