#include "graph/node.h"
#include "nodes/lib/tensor/metric/collect.h"
#include "nodes/lib/tensor/metric/logistic_params.h"

namespace flowrun {
namespace {

struct LogisticProbe : eval::OnFeatures<LogisticProbe> {
  static constexpr NodeInfo info{
      .type = "eval.logistic",
      .brief = "Accuracy of a multinomial logistic regression on frozen features, its penalty chosen on images set aside.",
      .scope = Scope::evaluation,
      .details =
          "Minimises C x sum of cross-entropies + |weights|^2 / 2 by L-BFGS in float64, as scikit-learn's LogisticRegression does; the bias is "
          "not penalised. The best C is fitted again on all train images. With select_on = test the accuracy is that of the best C on the "
          "test images. Reports accuracy in 0..1, the chosen c, its selection_accuracy and the iterations of the last fit."};
  struct Params : eval::LogisticParams {
    bool standardize = true;
    void describe(auto& param) {
      LogisticParams::describe(param);
      param("standardize", standardize, "Whether each dimension is shifted and scaled by the train images' mean and standard deviation.");
    }
  };
  Params params;
  static std::vector<std::string> reports() { return {"accuracy", "selection_accuracy", "c", "iterations"}; }

  void score(const eval::LabelledFeatures& train, const eval::LabelledFeatures& test, EvaluationContext& context) const {
    Tensor train_ND = train.values_ND.to(at::kDouble), test_ND = test.values_ND.to(at::kDouble);
    const Tensor train_labels = train.labels_N, test_labels = test.labels_N;
    if (params.standardize) {
      const eval::Standardiser standard(train_ND);
      train_ND = standard.apply(train_ND), test_ND = standard.apply(test_ND);
    }
    const eval::LbfgsOptions options = params.lbfgs();
    const auto rows = eval::selection_rows(params.selection, context.run.seed, train_ND, train_labels, test_ND, test_labels);
    eval::BestLogistic best = eval::choose_logistic(rows.fit_ND, rows.fit_labels, rows.select_ND, rows.select_labels, params.c, options);
    if (!params.selection.on_test()) best.fit = eval::fit_logistic(train_ND, train_labels, best.c, options, &best.fit);
    context.report("accuracy", best.fit.accuracy(test_ND, test_labels));
    context.report("selection_accuracy", best.accuracy);
    context.report("c", best.c);
    context.report("iterations", static_cast<double>(best.fit.iterations));
    context.note("selected_on", params.selection.on);
  }
};

FLOWRUN_NODE(LogisticProbe);

}  // namespace
}  // namespace flowrun
