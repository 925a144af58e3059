#include "nodes/lib/tensor/loss/contrast.h"

#include <cmath>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::loss {

Tensor contrast_scores(const Tensor& rows_nd, const Tensor& bank_Md, const Tensor& drawn_nK, double temperature) {
  const Float32 precision;
  // One product with the whole bank reads less memory than the drawn rows of each row do.
  const Tensor rows = at_least_float(rows_nd);
  return rows.matmul(bank_Md.detach().to(rows.scalar_type()).t()).gather(1, drawn_nK).div(temperature).exp();
}

Tensor contrast(const Tensor& scores_nK, const Tensor& normaliser, int64_t samples) {
  constexpr double tiny = 1e-7;
  const int64_t negatives = scores_nK.size(1) - 1;
  const double noise = static_cast<double>(negatives) / static_cast<double>(samples);
  const Tensor p_nK = scores_nK.div(normaliser), positive_n = p_nK.select(1, 0), sums_nK = p_nK.add(noise + tiny);
  const Tensor of_positive = positive_n.div(sums_nK.select(1, 0)).log();
  const Tensor of_negatives = sums_nK.narrow(1, 1, negatives).log().neg().add(std::log(noise)).sum(1);
  return of_positive.add(of_negatives).mean().neg();
}

}  // namespace flowrun::loss
