// Multinomial logistic regression with an L2 penalty. Float64; no graph knowledge.
#pragma once

#include <vector>

#include "nodes/lib/tensor/metric/lbfgs.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// Mean and standard deviation of each dimension, float64; a constant dimension has standard deviation 1.
struct Standardiser {
  Tensor mean_D, deviation_D;
  explicit Standardiser(const Tensor& train_ND);
  Tensor apply(const Tensor& x_ND) const;
};

struct Logistic {
  Tensor weights_CD, bias_C;  ///< float64; C counts the classes that the train rows hold
  Tensor classes_C;           ///< int64, ascending: the classes of the rows
  double objective = 0;       ///< mean cross-entropy + |weights|^2 / (2 c n), as scikit-learn scales it
  int64_t iterations = 0;
  bool converged = false;

  /// Classes of the rows of x_ND (float64), int64. Of equal scores the smaller class wins.
  Tensor predict(const Tensor& x_ND) const;
  /// Share of rows that predict() classifies correctly.
  double accuracy(const Tensor& x_ND, const Tensor& labels) const;
};

/// Minimises c * sum of cross-entropies + |weights|^2 / 2 by L-BFGS: scikit-learn's LogisticRegression(C=c). The bias
/// is not penalised. Two classes are a softmax too. Begins at `start` when it has the same classes, else at zero.
/// x_ND float64, labels int64 of at least two classes (else std::invalid_argument).
Logistic fit_logistic(const Tensor& x_ND, const Tensor& labels, double c, const LbfgsOptions& options, const Logistic* start = nullptr);

/// 10^linspace(-6, 5, 8): CAPI's grid.
std::vector<double> capi_cs();

/// The fit of `cs` whose accuracy on the selection rows is highest; of equals the smaller c. Each fit begins where the
/// one before ended.
struct BestLogistic {
  Logistic fit;
  double c = 0, accuracy = 0;
};
BestLogistic choose_logistic(const Tensor& fit_ND, const Tensor& fit_labels, const Tensor& select_ND, const Tensor& select_labels,
                             std::vector<double> cs, const LbfgsOptions& options);

}  // namespace flowrun::eval
