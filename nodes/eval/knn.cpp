#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/classify.h"
#include "nodes/lib/tensor/metric/collect.h"

namespace flowrun {
namespace {

struct Knn : eval::OnFeatures<Knn> {
  static constexpr NodeInfo info{
      .type = "eval.knn",
      .brief = "Accuracy of a weighted k-nearest-neighbour vote on frozen features.",
      .scope = Scope::evaluation,
      .details =
          "Features are L2-normalised, similarity is the cosine, a vote weighs exp(similarity / temperature): the protocol of Wu et al. and "
          "DINO. Reports accuracy in 0..1 for the first k and, where there are several, accuracy_kN for each. Trains nothing."};
  struct Ports : OnFeatures::Ports {
    Ports() : OnFeatures::Ports("Features of the images that vote.", "Features of the images to classify.") {}
  };
  struct Params {
    std::vector<int64_t> k = {20};
    double temperature = 0.07;
    void describe(auto& param) {
      param("k", k, positive, "Neighbours that vote; the first number is the one reported as accuracy.");
      param("temperature", temperature, Range{1e-3, 1e3}, "Temperature of the votes' weights.");
    }
    std::optional<ParamFault> check() const {
      if (k.empty()) return ParamFault{"k", "k must have at least one number"};
      return {};
    }
  };
  Params params;
  static std::vector<std::string> reports() { return {"accuracy", "accuracy_k*"}; }

  void open(const OpenContext& context) {
    OnFeatures::open(context);
    const SourceData* const train = context.input("train");
    const int64_t most = *std::max_element(params.k.begin(), params.k.end());
    if (train == nullptr || static_cast<uint64_t>(most) <= train->count) return;
    throw NodeError("k is " + std::to_string(most) + ", but only " + std::to_string(train->count) + " images of train can vote; lower k");
  }

  void score(const eval::LabelledFeatures& train, const eval::LabelledFeatures& test, EvaluationContext& context) const {
    const std::vector<double> accuracy =
        eval::knn_accuracy(train.values_ND, train.labels_N, test.values_ND, test.labels_N, params.k, params.temperature);
    context.report("accuracy", accuracy[0]);
    for (size_t i = 0; accuracy.size() > 1 && i < accuracy.size(); ++i) context.report("accuracy_k" + std::to_string(params.k[i]), accuracy[i]);
  }
};

FLOWRUN_NODE(Knn);

}  // namespace
}  // namespace flowrun
