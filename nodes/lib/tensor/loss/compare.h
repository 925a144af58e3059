// The common part of all losses between a prediction and a target.
#pragma once

#include <string>

#include "graph/node.h"
#include "nodes/lib/tensor/loss/regression.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun::loss {

/// The ports of a loss between a prediction and a target.
struct Ports {
  In<Prediction> prediction{"prediction", "B R M O."};
  In<Target> target{"target", "B R M O, without gradient."};
  Out<Loss> loss{"loss", "A scalar."};
  void describe(auto& port) { port(prediction, target, loss); }
};

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

/// Fills `out` with the loss and its value per part, weighted.
void compare(const Prediction& prediction, const Target& target, Options options, const Weighting& weighting, Loss& out);

/// The factor of the value for a width of `width`.
double factor(const Weighting& weighting, int64_t width);

}  // namespace flowrun::loss
