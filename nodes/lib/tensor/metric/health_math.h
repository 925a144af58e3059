// Measures of collapse: whether the features of all images become equal. No graph knowledge.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::health {

/// Mean over the dimensions of the standard deviation over the rows (n - 1 in the denominator). At least two rows.
double mean_std(const Tensor& x_ND);

/// RankMe: exp of the entropy of p = singular values / their sum + 1e-7 (Garrido et al., 2023, equation 1 and 2). Rows
/// are not centred, so that rows that are all alike have rank 1, whatever they are. At most min(N, D), but for 1e-7.
double effective_rank(const Tensor& x_ND);

/// Mean cosine between different rows; rows of zeros count as orthogonal to all.
double mean_cosine(const Tensor& x_ND);

/// Mean over all leading axes of the cosine between rows (the last axis) of two tensors; a scalar on their device.
Tensor agreement(const Tensor& a, const Tensor& b);

/// The entropy of each row of probabilities over that of even ones, log K: [n].
Tensor entropies(const Tensor& p_nK);

/// The measurements of the connected inputs.
struct Values {
  std::optional<double> std, rank, cosine;  // of pooled features
  double most_rank = 0;                     // min(N, D)
  std::optional<double> agreement, target_std;
  std::optional<double> mean_entropy, entropy;  // of the mean soft label, and of soft labels on average; shares of log K
  std::vector<double> block_losses;
  std::vector<int64_t> blocks;
};

struct Limits {
  double min_std, min_rank, max_cosine, min_target_std, min_loss;
  double min_mean_entropy = 0, max_entropy = 1;
};

/// The faults, in words; empty: none.
std::vector<std::string> findings(const Values& values, const Limits& limits);

}  // namespace flowrun::health
