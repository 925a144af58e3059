#include "graph/node.h"
#include "nodes/device.h"
#include "nodes/mim/math.h"

namespace flowrun {
namespace {

std::string numbers(const std::vector<int64_t>& values) {
  std::vector<std::string> words;
  for (const int64_t value : values) words.push_back(std::to_string(value));
  return "[" + join(words) + "]";
}

struct Mse {
  static constexpr NodeInfo info{.type = "loss.mse",
                                 .brief = "Mean squared error over all elements: every block, region and patch weighs the same.",
                                 .scope = Scope::device,
                                 .details = "In float32. The error of each block is reported beside it."};
  struct Ports {
    In<Prediction> prediction{"prediction", "B R M O."};
    In<Target> target{"target", "B R M O, without gradient."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(prediction, target, loss); }
  };
  struct Params {
    void describe(auto&) {}
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    const Prediction& prediction = *port.prediction;
    const Target& target = *port.target;
    if (prediction.values.sizes() != target.values.sizes() || (!prediction.parts.empty() && prediction.parts != target.parts)) {
      throw NodeError("the predictor is made for blocks " + numbers(prediction.parts) + " and gives " + numbers(prediction.values.sizes().vec()) +
                      ", the targets are blocks " + numbers(target.parts) + " and " + numbers(target.values.sizes().vec()) +
                      "; give both nodes the same blocks");
    }
    port.loss->value = mim::mse(prediction.values, target.values);
    port.loss->parts = target.parts;
    if (!target.parts.empty()) {
      port.loss->per_part = mim::mse_per_tap(prediction.values, target.values, static_cast<int64_t>(target.parts.size()));
    }
  }
};

FLOWRUN_NODE(Mse);

}  // namespace
}  // namespace flowrun
