#include "graph/node.h"
#include "nodes/lib/tensor/metric/classify.h"
#include "nodes/lib/tensor/metric/collect.h"

namespace flowrun {
namespace {

struct LinearProbe : eval::OnFeatures<LinearProbe> {
  static constexpr NodeInfo info{.type = "eval.linear",
                                 .brief = "Accuracy of a linear classifier on frozen features, fitted in closed form.",
                                 .scope = Scope::evaluation,
                                 .details =
                                     "Ridge regression from standardised features to one-hot classes, in float64: no learning rate to choose and no "
                                     "random numbers. Reports accuracy in 0..1. A tuned probe with SGD usually reaches more."};
  struct Params {
    double lambda = 1e-3;
    void describe(auto& param) { param("lambda", lambda, Range{1e-12, 1e6}, "Penalty of the squared weights, per image."); }
  };
  Params params;
  static std::vector<std::string> reports() { return {"accuracy"}; }

  void score(const eval::LabelledFeatures& train, const eval::LabelledFeatures& test, EvaluationContext& context) const {
    context.report("accuracy", eval::ridge_accuracy(train.values_ND, train.labels_N, test.values_ND, test.labels_N, params.lambda));
  }
};

FLOWRUN_NODE(LinearProbe);

}  // namespace
}  // namespace flowrun
