#include <ATen/ops/empty.h>
#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/collect.h"
#include "nodes/lib/tensor/metric/selection.h"
#include "nodes/lib/tensor/metric/sweep.h"

namespace flowrun {
namespace {

struct Probe : eval::OnFeatures<Probe> {
  static constexpr NodeInfo info{
      .type = "eval.probe",
      .brief = "Accuracy of a linear classifier on frozen features, trained with AdamW for a grid of learning rates and decays at once.",
      .scope = Scope::evaluation,
      .details =
          "MAE's linear probe without augmentation: batch norm without affine (eps 1e-6, momentum 0.1), then one linear layer per pair of lr and "
          "decay, weights normal 0.01 and the same for all heads, bias 0 and not decayed. The rates rise over the first 5 % of the steps and fall "
          "along half a cosine to 0. Batches come in an order keyed by the run's seed and the node's name. The paper gives the number of heads but "
          "not the grid; the default is our choice. The head that is best on the selection images is reported: its accuracy in 0..1 on the test "
          "images, selection_accuracy, lr and weight_decay."};
  struct Params {
    std::vector<double> lrs = {3e-4, 1e-3, 3e-3, 1e-2, 3e-2}, decays = {0, 5e-4, 1e-3, 1e-2, 5e-2};
    int64_t epochs = 20, batch = 1024;
    double warmup = 0.05;
    eval::Selection selection;
    void describe(auto& param) {
      param("lrs", lrs, Range{1e-9, 1e3}, "Learning rates at the end of the warm-up; each is tried with each decay.");
      param("decays", decays, Range{0, 10}, "Decoupled weight decays.");
      param("epochs", epochs, positive, "Passes over the features.");
      param("batch", batch, Range{2}, "Images in a step; learning rates are not scaled with it.");
      param("warmup", warmup, Range{0, 1}, "Share of the steps over which the rates rise.");
      selection.describe(param);
    }
    std::optional<ParamFault> check() const {
      if (lrs.empty()) return ParamFault{"lrs", "lrs must have at least one number"};
      if (decays.empty()) return ParamFault{"decays", "decays must have at least one number"};
      return {};
    }
  };
  Params params;
  static std::vector<std::string> reports() { return {"accuracy", "selection_accuracy", "lr", "weight_decay"}; }

  void open(const OpenContext& context) {
    OnFeatures::open(context);
    stream_ = context.stream;
  }

  void score(const eval::LabelledFeatures& train, const eval::LabelledFeatures& test, EvaluationContext& context) const {
    const auto& [train_ND, train_labels] = train;
    const auto& [test_ND, test_labels] = test;
    const int64_t classes = std::max(train_labels.max().item<int64_t>(), test_labels.max().item<int64_t>()) + 1;
    const auto rows = eval::selection_rows(params.selection, context.run.seed, train_ND, train_labels, test_ND, test_labels);
    if (rows.fit_ND.size(0) < 2) throw NodeError("a batch norm can't be trained on " + std::to_string(rows.fit_ND.size(0)) + " image");
    const eval::SweepOptions options{
        .lrs = params.lrs, .decays = params.decays, .epochs = params.epochs, .batch = params.batch, .warmup = params.warmup};
    const uint64_t seed = context.run.seed;
    const eval::Sweep sweep = eval::train_sweep(rows.fit_ND, rows.fit_labels, start(seed, classes, train_ND.size(1)), options,
                                                [&](int64_t epoch) { return order(seed, rows.fit_ND.size(0), epoch); });
    const std::vector<double> chosen_on = sweep.accuracy(rows.select_ND, rows.select_labels), found = sweep.accuracy(test_ND, test_labels);
    const auto best = static_cast<size_t>(std::max_element(chosen_on.begin(), chosen_on.end()) - chosen_on.begin());
    context.report("accuracy", found[best]);
    context.report("selection_accuracy", chosen_on[best]);
    context.report("lr", params.lrs[best / params.decays.size()]);
    context.report("weight_decay", params.decays[best % params.decays.size()]);
    context.note("selected_on", params.selection.on);
  }

 private:
  /// Normal with standard deviation 0.01, [classes, width].
  Tensor start(uint64_t seed, int64_t classes, int64_t width) const {
    Rng rng(seed, stream_, 0, 0);
    Tensor weights = at::empty({classes, width});
    auto* value = weights.mutable_data_ptr<float>();
    for (int64_t i = 0; i < classes * width; ++i) value[i] = static_cast<float>(0.01 * rng.normal());
    return weights;
  }
  Tensor order(uint64_t seed, int64_t rows, int64_t epoch) const {
    const Permutation permutation(static_cast<uint64_t>(rows), seed, stream_, static_cast<uint64_t>(epoch));
    Tensor index = at::empty({rows}, at::kLong);
    for (int64_t i = 0; i < rows; ++i) index.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(permutation(static_cast<uint64_t>(i)));
    return index;
  }

  uint64_t stream_ = 0;
};

FLOWRUN_NODE(Probe);

}  // namespace
}  // namespace flowrun
