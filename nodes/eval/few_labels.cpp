#include <algorithm>
#include <cmath>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/classify.h"
#include "nodes/lib/tensor/metric/collect.h"

namespace flowrun {
namespace {

struct FewLabels : eval::OnFeatures<FewLabels> {
  static constexpr NodeInfo info{
      .type = "eval.few_labels",
      .brief = "Accuracy with few labelled images of each class: the nearest mean of a class on frozen features, over many draws.",
      .scope = Scope::evaluation,
      .details =
          "Of each class some train images are drawn; a test image gets the class whose mean is nearest. Features are shifted by the mean of all "
          "train images, which takes no label, and L2-normalised (SimpleShot: Wang et al., 2019). Draws depend on the run's seed alone, so all "
          "evaluations of the same images draw the same ones, and a larger number adds images to a smaller one. Reports accuracy in 0..1, the mean "
          "over the draws, and deviation, the draws' standard deviation, of the first number of labels; where there are several, accuracy_N and "
          "deviation_N of each. Trains nothing and has nothing to choose."};
  struct Ports : OnFeatures::Ports {
    Ports() : OnFeatures::Ports("Features of the images to draw from.", "Features of the images to classify.") {}
  };
  struct Params {
    std::vector<int64_t> labels = {1, 5, 20};
    int64_t draws = 20;
    void describe(auto& param) {
      param("labels", labels, positive, "Labelled images of each class; the first number is the one reported as accuracy.");
      param("draws", draws, Range{1, 10000}, "Over how many draws the mean is taken.");
    }
    std::optional<ParamFault> check() const {
      if (labels.empty()) return ParamFault{"labels", "labels must have at least one number"};
      return {};
    }
  };
  Params params;
  static std::vector<std::string> reports() { return {"accuracy", "deviation", "accuracy_*", "deviation_*"}; }

  void open(const OpenContext& context) {
    OnFeatures::open(context);
    const SourceData* const train = context.input("train");
    if (train == nullptr || train->labels.empty()) return;
    std::vector<int64_t> counts(train->classes.size());
    for (const int label : train->labels) {
      if (label >= 0 && static_cast<size_t>(label) < counts.size()) ++counts[static_cast<size_t>(label)];
    }
    const int64_t most = *std::max_element(params.labels.begin(), params.labels.end());
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0 || counts[i] >= most) continue;
      throw NodeError("labels asks for " + std::to_string(most) + " images of each class, but " + train->classes[i] + " has " +
                      std::to_string(counts[i]) + " in train; lower labels");
    }
  }

  void score(const eval::LabelledFeatures& train, const eval::LabelledFeatures& test, EvaluationContext& context) const {
    const eval::ClassMeans means(train.values_ND, train.labels_N, test.values_ND, test.labels_N);
    for (const int64_t count : params.labels) {
      double sum = 0, squares = 0;
      for (int64_t draw = 0; draw < params.draws; ++draw) {
        const Tensor chosen = eval::rows_of_each_class(train.labels_N, count, context.run.seed, static_cast<uint64_t>(draw));
        const double accuracy = means.accuracy(chosen);
        sum += accuracy, squares += accuracy * accuracy;
      }
      const auto draws = static_cast<double>(params.draws);
      const double mean = sum / draws, deviation = std::sqrt(std::max(0.0, squares / draws - mean * mean));
      const std::string suffix = "_" + std::to_string(count);
      if (count == params.labels[0]) context.report("accuracy", mean), context.report("deviation", deviation);
      if (params.labels.size() > 1) context.report("accuracy" + suffix, mean), context.report("deviation" + suffix, deviation);
    }
  }
};

FLOWRUN_NODE(FewLabels);

}  // namespace
}  // namespace flowrun
