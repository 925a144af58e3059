#include "nodes/lib/tensor/loss/classification.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <stdexcept>
#include <string>

namespace flowrun::loss {

Tensor cross_entropy(const Tensor& scores_BC, const Tensor& labels, double smoothing, const Tensor& weight_B) {
  const Tensor scores = scores_BC.scalar_type() == at::kDouble ? scores_BC : scores_BC.to(at::kFloat);
  const bool soft = labels.dim() == 2;
  if (labels.size(0) != scores.size(0) || (soft && labels.size(1) != scores.size(1))) {
    throw std::invalid_argument("scores of " + std::to_string(scores.size(1)) + " classes for " + std::to_string(scores.size(0)) +
                                " images don't fit labels of " + (soft ? std::to_string(labels.size(1)) + " classes for " : "") +
                                std::to_string(labels.size(0)) + " images");
  }
  if (soft && smoothing != 0) throw std::invalid_argument("labels that are probabilities are not smoothed again");
  if (scores.size(0) == 0) return scores.sum();
  constexpr int64_t ignore_none = -100;
  const auto loss = [&](int64_t reduction) {
    return at::cross_entropy_loss(scores, soft ? labels.to(scores.scalar_type()) : labels, /*weight=*/{}, reduction, ignore_none, smoothing);
  };
  return weight_B.defined() ? loss(at::Reduction::None).mul(weight_B).mean() : loss(at::Reduction::Mean);
}

double smoothing_over_all(double smoothing, int64_t classes) {
  const auto count = static_cast<double>(classes);
  const double share = smoothing * count / (count - 1);
  if (classes >= 2 && share <= 1) return share;
  throw std::invalid_argument("a label of " + std::to_string(classes) + " classes can't leave " + std::to_string(smoothing) + " to the others");
}

}  // namespace flowrun::loss
