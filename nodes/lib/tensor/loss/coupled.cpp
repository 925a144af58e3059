#include "nodes/lib/tensor/loss/coupled.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diagonal.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "nodes/lib/tensor/device/float32.h"

namespace flowrun::loss {
namespace {

/// [n, D] of each view.
std::vector<Tensor> by_view(const Tensor& z_nD, int64_t views, const char* what) {
  if (views < 1 || z_nD.size(0) % views != 0) {
    throw std::invalid_argument(std::string(what) + " has " + std::to_string(z_nD.size(0)) + " rows, which are no multiple of " +
                                std::to_string(views) + " views");
  }
  return at_least_float(z_nD).reshape({-1, views, z_nD.size(1)}).unbind(1);
}

void require_two(int64_t views) {
  if (views != 2)
    throw std::invalid_argument("the loss compares two views of a picture, and there " +
                                std::string(views == 1 ? "is 1" : "are " + std::to_string(views)));
}

void require_equal(const Tensor& a, const Tensor& b, const char* a_name, const char* b_name) {
  if (a.sizes() == b.sizes()) return;
  throw std::invalid_argument(std::string(a_name) + " has " + std::to_string(a.size(0)) + " rows of " + std::to_string(a.size(1)) + ", " + b_name +
                              " " + std::to_string(b.size(0)) + " of " + std::to_string(b.size(1)));
}

/// Mean over the rows of -log softmax, where row i answers with column i.
Tensor own_column(const Tensor& logits) { return at::logsumexp(logits, {1}).sub(at::diagonal(logits)).mean(); }

/// The sum of the squares beside the diagonal.
Tensor beside_diagonal(const Tensor& matrix) { return matrix.square().sum().sub(at::diagonal(matrix).square().sum()); }

}  // namespace

Tensor nt_xent(const Tensor& z_nD, int64_t views, double temperature) {
  require_two(views);
  const std::vector<Tensor> z = by_view(z_nD, views, "z");
  const Tensor itself = at::eye(z[0].size(0), z[0].options().dtype(at::kBool));
  const auto side = [&](const Tensor& a, const Tensor& b) {
    const Tensor same = a.matmul(a.t()).div(temperature).masked_fill(itself, -INFINITY);
    return own_column(at::cat({a.matmul(b.t()).div(temperature), same}, 1));
  };
  return side(z[0], z[1]).add(side(z[1], z[0])).div(2);
}

Tensor key_contrast(const Tensor& q_nD, const Tensor& k_nD, int64_t views, double temperature) {
  require_two(views);
  require_equal(q_nD, k_nD, "query", "key");
  const std::vector<Tensor> q = by_view(q_nD, views, "query"), k = by_view(k_nD.detach(), views, "key");
  const auto side = [&](const Tensor& a, const Tensor& b) { return own_column(a.matmul(b.t()).div(temperature)); };
  return side(q[0], k[1]).add(side(q[1], k[0])).mul(2 * temperature);
}

Tensor pair_contrast(const Tensor& a_nD, const Tensor& b_nD, double smoothing) {
  require_equal(a_nD, b_nD, "one tower", "the other");
  const Tensor logits = at_least_float(a_nD).matmul(at_least_float(b_nD).t());
  const auto side = [&](const Tensor& of_rows) {
    Tensor own = own_column(of_rows);
    if (smoothing == 0) return own;
    return own.mul(1 - smoothing).add(at::logsumexp(of_rows, {1}).mean().sub(of_rows.mean()), smoothing);
  };
  return side(logits).add(side(logits.t())).div(2);
}

void require_one_length(const Tensor& a_nD) {
  const Tensor lengths = at_least_float(a_nD.detach()).norm(2, {1}, /*keepdim=*/false);
  const auto least = lengths.min().item<double>(), most = lengths.max().item<double>();
  if (most - least <= 1e-3 * most) return;
  throw std::invalid_argument("rows of scaled have lengths from " + std::to_string(least) + " to " + std::to_string(most) +
                              ", so no temperature scaled them: put a vectors.scale before");
}

Tensor barlow_twins(const Tensor& z_nD, int64_t views, double lambda) {
  require_two(views);
  std::vector<Tensor> z = by_view(z_nD, views, "z");
  for (Tensor& of_view : z) of_view = of_view.sub(of_view.mean(0)).div(of_view.var(0, /*unbiased=*/false).add(1e-5).sqrt());
  const Tensor correlation = z[0].t().matmul(z[1]).div(static_cast<double>(z[0].size(0)));
  return at::diagonal(correlation).sub(1).square().sum().add(beside_diagonal(correlation).mul(lambda));
}

Tensor vicreg(const Tensor& z_nD, int64_t views, const VicregWeights& weights) {
  if (weights.invariance != 0) require_two(views);
  const std::vector<Tensor> z = by_view(z_nD, views, "z");
  const double pictures = static_cast<double>(z[0].size(0)), width = static_cast<double>(z[0].size(1));
  if (pictures < 2) throw std::invalid_argument("variances need two pictures at least");
  Tensor sum = z[0].new_zeros({});
  if (weights.invariance != 0) sum = sum.add(z[0].sub(z[1]).square().mean().mul(weights.invariance));
  for (const Tensor& of_view : z) {
    const Tensor centred = of_view.sub(of_view.mean(0));
    const Tensor spread = centred.square().sum(0).div(pictures - 1).add(1e-4).sqrt();
    sum = sum.add(spread.neg().add(1).relu().mean().mul(weights.variance / 2));
    sum = sum.add(beside_diagonal(centred.t().matmul(centred).div(pictures - 1)).mul(weights.covariance / width));
  }
  return sum;
}

Tensor lejepa(const Tensor& z_nD, int64_t views, const Tensor& directions_DA, double lambda) {
  constexpr int64_t points = 17;
  constexpr double last = 3, step = last / (points - 1);
  const std::vector<Tensor> z = by_view(z_nD, views, "z");
  const Tensor t = at::linspace(0, last, points, z[0].options()), normal = t.square().div(-2).exp();
  Tensor weight = normal.mul(2 * step);
  weight[0].div_(2), weight[points - 1].div_(2);
  Tensor gaussian = z[0].new_zeros({});
  for (const Tensor& of_view : z) {
    const Tensor angle = of_view.matmul(directions_DA).unsqueeze(-1).mul(t);  // [pictures, directions, points]
    const Tensor real = angle.cos().mean(0).sub(normal).square(), imaginary = angle.sin().mean(0).square();
    gaussian = gaussian.add(real.add(imaginary).mul(weight).sum(-1).mean().mul(static_cast<double>(of_view.size(0))));
  }
  gaussian = gaussian.div(static_cast<double>(views));
  const Tensor together = at_least_float(z_nD).reshape({-1, views, z_nD.size(1)});
  const Tensor invariance = together.mean(1, /*keepdim=*/true).sub(together).square().mean();
  return invariance.mul(1 - lambda).add(gaussian.mul(lambda));
}

Tensor mmcr(const Tensor& z_nD, int64_t views, double lambda) {
  const Tensor z_PVD = at::stack(by_view(z_nD, views, "z"), 1);
  const Tensor spread = at::linalg_svdvals(z_PVD.mean(1)).sum();
  return lambda == 0 ? spread.neg() : at::linalg_svdvals(z_PVD).sum(-1).mean().mul(lambda).sub(spread);
}

}  // namespace flowrun::loss
