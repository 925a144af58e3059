#include "nodes/lib/tensor/loss/compare.h"

#include <ATen/ops/zeros.h>
#include <cmath>

#include "graph/text/error.h"

namespace flowrun::loss {
namespace {

std::string numbers(const std::vector<int64_t>& values) {
  std::vector<std::string> words;
  for (const int64_t value : values) words.push_back(std::to_string(value));
  return "[" + join(words) + "]";
}

/// Of rows that masks choose a group may have none: nothing is hidden in it.
bool no_rows(const Tensor& values) {
  return values.dim() == 4 && values.size(0) == 1 && values.size(1) == 1 && values.size(2) == 0 && values.size(3) > 0;
}

}  // namespace

const Choices& Weighting::scales() {
  static const Choices choices = {"mean", "sqrt_width"};
  return choices;
}

void check_pair(const Prediction& prediction, const Target& target) {
  const std::string shapes = numbers(prediction.values.sizes().vec()) + " and " + numbers(target.values.sizes().vec());
  if (!prediction.parts.empty() && prediction.parts != target.parts) {
    throw NodeError("the predictor is made for blocks " + numbers(prediction.parts) + " and gives " + numbers(prediction.values.sizes().vec()) +
                    ", the targets are blocks " + numbers(target.parts) + " and " + numbers(target.values.sizes().vec()) +
                    "; give both nodes the same blocks");
  }
  if (prediction.values.sizes() != target.values.sizes()) {
    throw NodeError("prediction and target are " + shapes + "; give the predictor \"out\": " + std::to_string(target.values.size(-1)));
  }
  if (prediction.values.numel() == 0 && !no_rows(prediction.values))
    throw NodeError("nothing is to be predicted: prediction and target are " + shapes + "; look at the masks");
}

void check_planned(NodePlan& plan) {
  const Planned prediction = plan.known("prediction"), target = plan.known("target");
  if (prediction.width == 0 || target.width == 0) return;
  if (!prediction.parts.empty() && prediction.parts != target.parts) {
    const std::string other = target.parts.empty() ? "none" : "blocks " + numbers(target.parts);
    plan.fault("target", "the predictor is made for blocks " + numbers(prediction.parts) + ", the targets are " + other,
               "give both the same \"blocks\"");
  } else {
    plan.require_equal("width", "prediction", &Planned::width, "target", "give the predictor \"out\": " + count_text(target.width));
  }
}

double factor(const Weighting& weighting, int64_t width) {
  return weighting.weight * (weighting.scale == "sqrt_width" ? std::sqrt(static_cast<double>(width)) : 1.0);
}

void compare(const Prediction& prediction, const Target& target, Options options, const Weighting& weighting, Loss& out) {
  check_pair(prediction, target);
  options.parts = std::max<int64_t>(1, static_cast<int64_t>(target.parts.size()));
  const double scale = factor(weighting, target.values.size(-1));
  const auto weighted = [&](const Tensor& value) { return scale == 1.0 ? value : value.mul(scale); };
  Tensor per_part;
  out.has_value = true, out.parts = target.parts;
  if (no_rows(prediction.values)) {
    out.value = prediction.values.to(at::kFloat).sum();
    if (!target.parts.empty()) out.per_part = at::zeros({options.parts}, out.value.options());
    return;
  }
  out.value = weighted(value(prediction.values, target.ready(), options, target.parts.empty() ? nullptr : &per_part));
  if (!target.parts.empty()) out.per_part = weighted(per_part);
}

}  // namespace flowrun::loss
