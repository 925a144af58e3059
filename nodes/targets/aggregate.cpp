#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Aggregate {
  static constexpr NodeInfo info{
      .type = "targets.aggregate",
      .brief =
          "The scores of classes that all turned views of a picture give together: the mean over views of the score of (class, that view); SLA's "
          "teacher.",
      .scope = Scope::device,
      .details = "Of scores of the pairs that targets.joint makes. In float32, without gradient. loss.kl takes it as the teacher's scores.",
      .repeats = true};
  struct Ports {
    In<Vectors> scores{"scores", "n (C views), one row for each view."};
    Out<Vectors> vectors{"vectors", "One row of C scores for each picture."};
    void describe(auto& port) { port(scores, vectors); }
  };

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("scores");
    if (in.views > 0 && in.width > 0 && static_cast<int64_t>(in.width) % static_cast<int64_t>(in.views) != 0) {
      plan.fault("scores", fault(static_cast<int64_t>(in.width), static_cast<int64_t>(in.views)), hint);
    }
    const double views = std::max(1.0, in.views);
    plan.out["vectors"] = Vectors::planned(in.rows / views, in.width / views);
    plan.out["vectors"].views = 1, plan.out["vectors"].certain = in.views > 0;
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& scores = port.scores->values_nD;
    const int64_t views = port.scores->views;
    if (scores.size(1) % views != 0) throw NodeError(fault(scores.size(1), views) + ": " + hint);
    // [pictures, V, C, V']: what view V says of class C as seen in view V'.
    const Tensor all = at_least_float(scores.detach()).reshape({-1, views, scores.size(1) / views, views});
    const Tensor own = all.diagonal(0, 1, 3).mean(2);
    *port.vectors = {.values_nD = own, .views = 1, .image_n = {}, .images = own.size(0)};
  }

 private:
  static constexpr const char* hint = "the head needs a score for each class and view";

  static std::string fault(int64_t width, int64_t views) {
    return std::to_string(width) + " scores are no multiple of the " + std::to_string(views) + " views of a picture";
  }
};

FLOWRUN_NODE(Aggregate);

}  // namespace
}  // namespace flowrun
