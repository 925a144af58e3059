// The common part of all losses between a prediction and a target. A node derives from Compare.
#pragma once

#include <string>

#include "graph/node.h"
#include "nodes/lib/tensor/loss/regression.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::loss {

/// The weight of a loss among others, and its scaling by the width.
struct Weighting {
  double weight = 1;
  std::string scale = "mean";

  void describe(auto& param) {
    param("weight", weight, Range{0}, "Factor of this loss, where loss.sum adds several.");
    param("scale", scale, scales(), "mean: the mean over all values. sqrt_width: that mean times the square root of the width, as in data2vec 2.0.");
  }
  static const Choices& scales();
};

/// Refuses shapes or parts that don't fit, and names both.
void check_pair(const Prediction& prediction, const Target& target);

/// The same before a run, as far as it is known.
void check_planned(NodePlan& plan);

/// Fills `out` with the loss and its value per part, weighted.
void compare(const Prediction& prediction, const Target& target, Options options, const Weighting& weighting, Loss& out);

/// The factor of the value for a width of `width`.
double factor(const Weighting& weighting, int64_t width);

/// The description of a loss node: losses run on the device, and their work can be recorded.
constexpr NodeInfo info(NodeInfo description) {
  description.scope = Scope::device, description.repeats = true;
  return description;
}

/// The common members of the nodes of these losses. A node adds its `info` and `Options options() const`, called for every group,
/// and names its parameters if it has more than the weighting. Throws NodeError for shapes or parts that don't fit.
template <class Node, class P = Weighting>
struct Compare {
  struct Ports {
    In<Prediction> prediction{"prediction", "B R M O."};
    In<Target> target{"target", "B R M O, without gradient."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(prediction, target, loss); }
  };
  using Params = P;
  Params params;

  void plan(NodePlan& plan) const { check_planned(plan); }
  void run(Ports& port, const GroupContext&) const {
    compare(*port.prediction, *port.target, static_cast<const Node&>(*this).options(), params, *port.loss);
  }
};

}  // namespace flowrun::loss
