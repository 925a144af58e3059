#include "graph/node.h"
#include "nodes/lib/tensor/loss/relation_loss.h"
#include "nodes/lib/tensor/loss/relations.h"

namespace flowrun {
namespace {

struct RkdParams : loss::Weight {
  double distance = 25, angle = 50;
  void describe(auto& param) {
    param("distance", distance, not_negative, "Weight of distances.");
    param("angle", angle, not_negative, "Weight of angles; 0: they are not computed.");
    Weight::describe(param);
  }
  std::optional<ParamFault> check() const {
    if (distance == 0 && angle == 0) return ParamFault{"distance", "distance and angle are both 0, so nothing is compared"};
    return {};
  }
};

struct Rkd : loss::OnRows<Rkd, RkdParams> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.rkd",
       .brief =
           "Smooth L1 difference between student and teacher in the distances of pairs of rows and the angles of triples: relational distillation.",
       .details =
           "Distances of all rows of the group are divided by each network's mean distance; smooth L1 over all pairs. Angles are the cosines between "
           "the "
           "directions from a row to two others; smooth L1 over all triples (Park et al., 2019). In float32. Of a group of n rows there are n³ "
           "angles: 64 rows are published."});
  Tensor value(const Tensor& student_nD, const Tensor& teacher_nD) const {
    Tensor sum;
    if (params.distance > 0) sum = loss::relational_distance(student_nD, teacher_nD).mul(params.distance);
    if (params.angle == 0) return sum;
    const Tensor angle = loss::relational_angle(student_nD, teacher_nD).mul(params.angle);
    return sum.defined() ? sum.add(angle) : angle;
  }
};

FLOWRUN_NODE(Rkd);

}  // namespace
}  // namespace flowrun
