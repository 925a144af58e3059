// Linear heads on frozen features, one for each learning rate and decay, trained side by side. No graph knowledge.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

struct SweepOptions {
  std::vector<double> lrs, decays;  ///< head h has lrs[h / decays.size()] and decays[h % decays.size()]
  int64_t epochs = 20, batch = 1024;
  double warmup = 0.05;  ///< share of all steps
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double bn_eps = 1e-6, bn_momentum = 0.1;

  int64_t heads() const { return static_cast<int64_t>(lrs.size() * decays.size()); }
};

/// In the shape suffixes of this file H counts heads and C classes.
struct Sweep {
  Tensor weights_HCD, bias_HC;
  Tensor mean_D, variance_D;  ///< running statistics of the batch norm
  double bn_eps = 1e-6;

  /// Scores [B, H, C] of the rows, with the running statistics.
  Tensor scores(const Tensor& x_BD) const;
  /// Per head the share of rows classified correctly.
  std::vector<double> accuracy(const Tensor& x_ND, const Tensor& labels) const;
};

/// Trains all heads from `start_CD` and zero biases: batch norm without affine (PyTorch's BatchNorm1d: biased variance
/// in the batch, unbiased in the running one), mean cross-entropy, AdamW whose decay leaves the bias alone, learning
/// rates rising linearly over the warm-up and falling along half a cosine to 0. `order(epoch)` gives the rows of an
/// epoch (int64, host); a partial batch at its end is left out, unless the epoch is smaller than a batch. Gradients are
/// written out, so there is no graph; all heads share one product per batch.
Sweep train_sweep(const Tensor& train_ND, const Tensor& labels, const Tensor& start_CD, const SweepOptions& options,
                  const std::function<Tensor(int64_t epoch)>& order);

}  // namespace flowrun::eval
