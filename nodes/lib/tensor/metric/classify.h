// Classification with frozen features. Float32 features in, float64 where it matters; no graph knowledge.
#pragma once

#include <cstdint>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// For each of `ks` the share of test rows whose class a weighted vote of the k nearest train rows names (Wu et al. 2018, as DINO's
/// protocol): features are L2-normalised, similarity is the cosine, a neighbour's vote weighs exp(similarity /
/// temperature). Exact search in chunks; of equal votes the smaller class wins. features [n, D], labels [n] int64, not
/// negative, all on one device. Throws std::invalid_argument when a k exceeds the train rows, or
/// where the widths differ.
std::vector<double> knn_accuracy(const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND, const Tensor& test_labels,
                                 const std::vector<int64_t>& ks, double temperature);

/// Share of test rows that a ridge regression from the features to one-hot classes classifies correctly, in closed
/// form: features are standardised by the train rows' mean and standard deviation, with a bias that is not penalised; the
/// penalty is `lambda` times the number of train rows. Float64.
double ridge_accuracy(const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND, const Tensor& test_labels, double lambda);

/// Nearest class means. Features are shifted by the mean of all train rows, which takes no label, and L2-normalised (SimpleShot's CL2N: Wang
/// et al. 2019, arXiv:1911.04623). Float32.
class ClassMeans {
 public:
  ClassMeans(const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND, const Tensor& test_labels);
  /// Share of test rows whose class has the nearest mean among the `chosen` train rows, row numbers [n]; of equal distances the smaller class wins.
  double accuracy(const Tensor& chosen) const;

 private:
  Tensor train_ND_, train_labels_, test_ND_, test_labels_;
  int64_t classes_;
};

/// `count` rows of each class that the labels hold, without repetition, as row numbers on the labels' device. They depend on the labels, the seed
/// and the number of the draw alone; a larger count adds rows to those of a smaller one. Throws std::invalid_argument if a class has fewer.
Tensor rows_of_each_class(const Tensor& labels, int64_t count, uint64_t seed, uint64_t draw);

}  // namespace flowrun::eval
