#include <ATen/core/grad_mode.h>
#include <cmath>
#include <numeric>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Ensemble {
  static constexpr NodeInfo info{
      .type = "targets.ensemble",
      .brief = "Several teachers as one: the weighted mean of their scores, and of their probabilities.",
      .scope = Scope::device,
      .details =
          "Probabilities are softmax(scores / temperature) of each teacher: give loss.kl the same temperature. In float32, "
          "without gradient.",
      .repeats = true};
  struct Ports {
    InList<Vectors> scores{"scores", "Of each teacher, n C."};
    Out<Vectors> vectors{"vectors", "Mean of the scores, n C."};
    Out<SoftLabels> soft_label{"soft_label", "Mean of the probabilities, n C; rows sum to 1."};
    void describe(auto& port) { port(scores, vectors, soft_label); }
  };
  struct Params {
    std::vector<double> weights;
    double temperature = 4;
    void describe(auto& param) {
      param("weights", weights, not_negative, "Of each teacher, with sum 1; none: equal ones.");
      param("temperature", temperature, Range{1e-4, 1000}, "Of the probabilities.");
    }
    std::optional<ParamFault> check() const {
      const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
      if (weights.empty() || std::abs(sum - 1) < 1e-6) return {};
      return ParamFault{"weights", "weights must have the sum 1, and theirs is " + count_text(sum)};
    }
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    const at::NoGradGuard no_grad;
    const size_t count = port.scores.size();
    if (!params.weights.empty() && params.weights.size() != count) {
      throw FatalNodeError("there are " + std::to_string(params.weights.size()) + " weights, but scores of " + std::to_string(count) + " teachers");
    }
    Tensor scores, probabilities;
    for (size_t i = 0; i < count; ++i) {
      const Tensor own = port.scores[i].values_nD.to(at::kFloat);
      if (i > 0 && own.sizes() != scores.sizes()) {
        throw NodeError("teacher " + std::to_string(i + 1) + " has " + std::to_string(own.size(0)) + " rows of " + std::to_string(own.size(1)) +
                        " scores, the first " + std::to_string(scores.size(0)) + " of " + std::to_string(scores.size(1)));
      }
      const double weight = params.weights.empty() ? 1 / static_cast<double>(count) : params.weights[i];
      const Tensor softened = own.div(params.temperature).softmax(1);
      scores = i == 0 ? own.mul(weight) : scores.add(own, weight);
      probabilities = i == 0 ? softened.mul(weight) : probabilities.add(softened, weight);
    }
    *port.vectors = {.values_nD = scores, .views = port.scores[0].views, .image_n = {}, .images = port.scores[0].images};
    port.soft_label->values_BC = probabilities;
    port.soft_label->weight_B.reset();
    port.soft_label->views = port.scores[0].views;
  }
};

FLOWRUN_NODE(Ensemble);

}  // namespace
}  // namespace flowrun
