#include "nodes/lib/tensor/target/diffusion.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "nodes/lib/tensor/device/send.h"

namespace flowrun::mim {

std::vector<double> cosine_shares(int64_t steps) {
  const auto of = [&](int64_t i) {
    const double cosine = std::cos((static_cast<double>(i) / static_cast<double>(steps) + 0.008) / 1.008 * std::numbers::pi / 2);
    return cosine * cosine;
  };
  std::vector<double> shares;
  double left = 1;
  for (int64_t i = 0; i < steps; ++i) shares.push_back(left *= 1 - std::min(1 - of(i + 1) / of(i), 0.999));
  return shares;
}

Tensor with_noise(const Tensor& x_BCHW, const Tensor& noise_BCHW, const Tensor& shares_B) {
  const auto factor = [&](const Tensor& share) { return send(share.sqrt().to(x_BCHW.scalar_type()), x_BCHW.device()).view({-1, 1, 1, 1}); };
  return x_BCHW.mul(factor(shares_B)).add_(noise_BCHW.mul(factor(shares_B.neg().add(1))));
}

}  // namespace flowrun::mim
