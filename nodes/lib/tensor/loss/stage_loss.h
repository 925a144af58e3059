// The common part of losses between the maps of a student's and a teacher's stages. A node derives from OnStages.
#pragma once

#include <string>
#include <vector>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/feature_maps.h"

namespace flowrun::loss {

/// Whether maps of a pair need as many channels.
enum class Channels { any, equal };

/// For a message: how many maps each has.
std::string counts_of_maps(size_t student, size_t teacher);

/// Faults before a run of inputs "student" and "teacher": no maps, other counts of them, or of their channels.
void check_stage_maps(NodePlan& plan, Channels channels);

/// The same at the run; throws NodeError.
void require_stage_maps(const FeatureMaps& student, const FeatureMaps& teacher);

/// A node adds its `info`, `static constexpr Channels channels` and `Tensor value(student, teacher)`, static or const, which gets as many maps of
/// both; and names its parameters if it has more than the weight.
template <class Node, class P = Weight>
struct OnStages {
  struct Ports {
    In<FeatureMaps> student{"student", "Maps of the student's stages, from encode.images with stages."};
    In<FeatureMaps> teacher{"teacher", "As many of the teacher's, without gradient."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  using Params = P;
  Params params;

  void plan(NodePlan& plan) const { check_stage_maps(plan, Node::channels); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    require_stage_maps(*port.student, *port.teacher);
    params.give(static_cast<const Node&>(*this).value(port.student->maps_BCHW, port.teacher->maps_BCHW), context, *port.loss);
  }
};

/// The sum of `of_stage` over the maps.
template <class OfStage>
Tensor sum_of_stages(const std::vector<Tensor>& student, const std::vector<Tensor>& teacher, OfStage&& of_stage) {
  Tensor sum = of_stage(student[0], teacher[0]);
  for (size_t i = 1; i < student.size(); ++i) sum = sum.add(of_stage(student[i], teacher[i]));
  return sum;
}

}  // namespace flowrun::loss
