#include <ATen/core/Reduction.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Accuracy {
  static constexpr NodeInfo info{
      .type = "eval.accuracy",
      .brief = "Share of images whose class has the highest score, or one of the five highest, and the mean cross-entropy.",
      .scope = Scope::evaluation,
      .details =
          "Reports accuracy in 0..1, loss and, with more than five classes, accuracy_top5. Nothing is chosen: the numbers are those of the "
          "weights as they stand when the evaluation runs."};
  struct Ports {
    In<Vectors> logits{"logits", "B classes: scores of supervised.classify or head.apply with train false."};
    In<DeviceLabels> label{"label", "Classes."};
    void describe(auto& port) { port(logits, label); }
  };
  static std::vector<std::string> reports() { return {"accuracy", "accuracy_top5", "loss"}; }
  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "logits", &Planned::views, "label", "where vectors.join_views joins views, take its label too");
  }

  void fold(Ports& port, const FoldContext&) {
    const at::NoGradGuard no_grad;
    const Tensor scores_BC = port.logits->values_nD.to(at::kFloat);
    const Tensor& labels_B = port.label->labels_B;
    check_labels(*port.label, scores_BC.size(1));
    classes_ = scores_BC.size(1), images_ += labels_B.numel();
    const Tensor named_BK = std::get<1>(at::topk(scores_BC, std::min<int64_t>(5, classes_)));
    const Tensor right_BK = named_BK.eq(labels_B.unsqueeze(1));
    const Tensor loss = at::cross_entropy_loss(scores_BC, labels_B, /*weight=*/{}, at::Reduction::Sum);
    const Tensor sums = at::stack({right_BK.select(1, 0).sum().to(at::kDouble), right_BK.sum().to(at::kDouble), loss.to(at::kDouble)});
    sums_ = sums_.defined() ? sums_.add(sums) : sums;
  }

  void run(Ports&, EvaluationContext& context) {
    classes_ = ranks::most(context.run, classes_, "comparing classes");
    const Tensor mine = at::zeros({4}, at::kDouble);
    if (sums_.defined()) mine.narrow(0, 0, 3).copy_(sums_), mine[3].fill_(static_cast<double>(images_));
    const Tensor all = ranks::sum(context.run, mine, "adding up the accuracy");
    const Tensor mean = all.div(all[3]);
    context.report("accuracy", mean[0].item<double>());
    if (classes_ > 5) context.report("accuracy_top5", mean[1].item<double>());
    context.report("loss", mean[2].item<double>());
    sums_.reset(), images_ = 0;
  }

 private:
  static void check_labels(const DeviceLabels& labels, int64_t classes) {
    if (!labels.labels_B.defined()) throw NodeError("there are no labels: connect label from the source to batch.stack and device.upload");
    const auto [known, least, most] = labels.range.of(labels.labels_B);
    if (least >= 0 && most < classes) return;
    throw NodeError("a label is " + std::to_string(least < 0 ? least : most) + ", but the classifier has classes 0 to " +
                    std::to_string(classes - 1));
  }

  Tensor sums_;  // right, among the five, summed cross-entropy; float64
  int64_t images_ = 0, classes_ = 0;
};

FLOWRUN_NODE(Accuracy);

}  // namespace
}  // namespace flowrun
