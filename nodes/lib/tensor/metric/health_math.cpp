#include "nodes/lib/tensor/metric/health_math.h"

#include <ATen/ops/cosine_similarity.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/special_xlogy.h>
#include <ATen/ops/std.h>
#include <algorithm>
#include <cmath>
#include <cstdio>

namespace flowrun::health {
namespace {

constexpr double rank_eps = 1e-7;  // RankMe's

std::string number(double value, const char* format = "%.3g") {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

double mean_std(const Tensor& x_ND) { return x_ND.to(at::kDouble).std(at::OptionalIntArrayRef{0}, /*unbiased=*/true, false).mean().item<double>(); }

double effective_rank(const Tensor& x_ND) {
  // On the host: there are a few thousand rows, and loading a solver library on the device takes time.
  const Tensor values = at::linalg_svdvals(x_ND.to(at::kCPU, at::kDouble));
  const double sum = values.sum().item<double>();
  if (sum == 0) return 1;
  const Tensor p = values.div(sum).add(rank_eps);
  return std::exp(-p.mul(p.log()).sum().item<double>());
}

double mean_cosine(const Tensor& x_ND) {
  const Tensor x = x_ND.to(at::kDouble);
  const auto n = static_cast<double>(x.size(0));
  const Tensor unit = x.div(at::linalg_vector_norm(x, 2, {1}, /*keepdim=*/true).clamp_min(1e-12));
  // The sum over all pairs is the square of the sum; pairs of a row with itself are subtracted.
  const Tensor sum = unit.sum(0), own = unit.mul(unit).sum();
  return sum.mul(sum).sum().sub(own).item<double>() / (n * (n - 1));
}

Tensor agreement(const Tensor& a, const Tensor& b) { return at::cosine_similarity(a.to(at::kFloat), b.to(at::kFloat), /*dim=*/-1).mean(); }

Tensor entropies(const Tensor& p_nK) {
  const Tensor p = p_nK.to(at::kFloat);
  return at::special_xlogy(p, p).sum(-1).div(-std::log(static_cast<double>(std::max<int64_t>(2, p.size(-1)))));
}

std::vector<std::string> findings(const Values& v, const Limits& limits) {
  std::vector<std::string> out;
  for (const auto& value : {v.std, v.rank, v.cosine, v.agreement, v.target_std, v.entropy}) {
    if (value && !std::isfinite(*value)) return {"features or targets are not finite"};
  }
  if (v.cosine && (*v.cosine > limits.max_cosine || *v.rank < limits.min_rank)) {
    out.push_back("features of different images are nearly equal (cosine " + number(*v.cosine, "%.3f") + ", rank " + number(*v.rank) + " of " +
                  number(v.most_rank, "%.0f") + ")");
  }
  if (v.std && *v.std < limits.min_std) out.push_back("features hardly vary over the images (std " + number(*v.std) + ")");
  if (v.mean_entropy && *v.mean_entropy < limits.min_mean_entropy) {
    out.push_back("all images get the same soft label (entropy of their mean " + number(*v.mean_entropy) + " of log K)");
  }
  if (v.entropy && *v.entropy > limits.max_entropy) {
    out.push_back("soft labels say nothing: they are even (entropy " + number(*v.entropy, "%.4f") + " of log K)");
  }
  if (v.target_std && *v.target_std < limits.min_target_std) {
    out.push_back("targets hardly vary over the images (std " + number(*v.target_std) + ")");
  }
  for (size_t i = 0; i < v.block_losses.size(); ++i) {
    if (v.block_losses[i] < limits.min_loss) {
      out.push_back("the target of block " + std::to_string(v.blocks[i]) + " has become constant (loss " + number(v.block_losses[i]) + ")");
    }
  }
  return out;
}

}  // namespace flowrun::health
