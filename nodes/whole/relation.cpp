#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/relations.h"
#include "nodes/lib/tensor/loss/view_loss.h"

namespace flowrun {
namespace {

struct WholeRelation {
  static constexpr NodeInfo info{
      .type = "whole.relation",
      .brief =
          "Difference between student and teacher in the relations among all pictures of a step: loss.rkd, loss.pkt or loss.similarity over groups "
          "and ranks.",
      .scope = Scope::whole,
      .details =
          "Where groups are smaller than the batch whose pairs are compared. Values and weights are those of the nodes of that name, of the "
          "rows of the whole step; the teacher has no gradient. Angles of rkd need n³ numbers for a step of n rows."};
  struct Ports {
    In<Vectors> student{"student", "The student's vectors, n D."};
    In<Vectors> teacher{"teacher", "The teacher's; D may be another."};
    Out<Coupled> coupled{"coupled", "For loss.couple."};
    void describe(auto& port) { port(student, teacher, coupled); }
  };
  struct Params {
    std::string kind = "rkd";
    double distance = 25, angle = 50, scale = 1;
    void describe(auto& param) {
      param("kind", kind, kinds(), "rkd: distances and angles. pkt: cosines as chances. similarity: products of rows.");
      param("distance", distance, not_negative, "Weight of distances in rkd.");
      param("angle", angle, not_negative, "Weight of angles in rkd; 0: they are not computed.");
      param("scale", scale, Range{1e-6, 1e6}, "Factor of the loss; published are 30000 of pkt and 3000 of similarity.");
    }
    std::optional<ParamFault> check() const {
      if (distance == 0 && angle == 0) return ParamFault{"distance", "distance and angle are both 0, so nothing is compared"};
      return {};
    }
    static const Choices& kinds() {
      static const Choices choices = {"rkd", "pkt", "similarity"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"student", "teacher"});
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  }

  void fold(Ports& port, const FoldContext& context) { coupling_.take({&*port.student, &*port.teacher}, context); }
  void run(const WholeContext& context) {
    coupling_.run(context, [&](const std::vector<Tensor>& rows) { return value(rows[0], rows[1]).mul(params.scale); });
  }
  void give(Ports& port, const FoldContext& context) { coupling_.give(context, *port.coupled); }

 private:
  Tensor value(const Tensor& student, const Tensor& teacher) const {
    if (params.kind == "pkt") return loss::probabilistic_transfer(student, teacher);
    if (params.kind == "similarity") return loss::similarity(student, teacher);
    Tensor sum;
    if (params.distance > 0) sum = loss::relational_distance(student, teacher).mul(params.distance);
    if (params.angle == 0) return sum;
    const Tensor angle = loss::relational_angle(student, teacher).mul(params.angle);
    return sum.defined() ? sum.add(angle) : angle;
  }

  loss::Coupling coupling_;
};

FLOWRUN_NODE(WholeRelation);

}  // namespace
}  // namespace flowrun
