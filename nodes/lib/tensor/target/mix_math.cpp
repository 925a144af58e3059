#include "nodes/lib/tensor/target/mix_math.h"

#include <ATen/ops/arange.h>
#include <algorithm>
#include <cmath>

namespace flowrun::supervised {
namespace {

/// Logarithm of a gamma number of shape `alpha`; below 1 by gamma(alpha + 1) u^(1 / alpha).
double draw_log_gamma(double alpha, Rng& rng) {
  if (alpha < 1) {
    const double larger = draw_log_gamma(alpha + 1, rng);
    return larger + std::log(1 - rng.uniform()) / alpha;
  }
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = rng.normal(), root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (std::log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

Tensor window(const Tensor& images, const io::Rect& box) { return images.narrow(-2, box.y, box.height).narrow(-1, box.x, box.width); }

}  // namespace

double draw_beta(double alpha, Rng& rng) {
  const double x = draw_log_gamma(alpha, rng), y = draw_log_gamma(alpha, rng);
  return 1 / (1 + std::exp(y - x));
}

io::Rect cut_box(double lambda, int height, int width, int row, int column) {
  const double ratio = std::sqrt(1 - lambda);
  const auto sides = [&](int size, int centre) {
    const int cut = static_cast<int>(size * ratio);
    return std::pair{std::clamp(centre - cut / 2, 0, size), std::clamp(centre + (cut + 1) / 2, 0, size)};
  };
  const auto [top, bottom] = sides(height, row);
  const auto [left, right] = sides(width, column);
  return {left, top, right - left, bottom - top};
}

Mix draw_mix(const MixOptions& options, int height, int width, Rng& rng) {
  Mix mix;
  if ((options.mixup <= 0 && options.cutmix <= 0) || !rng.chance(options.chance)) return mix;
  const bool cut = options.mixup <= 0 || (options.cutmix > 0 && rng.chance(options.switch_chance));
  mix.lambda = draw_beta(cut ? options.cutmix : options.mixup, rng);
  if (!cut) return mix;
  const int row = static_cast<int>(rng.below(static_cast<uint32_t>(height))), column = static_cast<int>(rng.below(static_cast<uint32_t>(width)));
  mix.box = cut_box(mix.lambda, height, width, row, column);
  mix.lambda = 1 - static_cast<double>(mix.box->width) * mix.box->height / (static_cast<double>(height) * width);
  return mix;
}

std::optional<io::Rect> draw_erase(const EraseOptions& options, int height, int width, Rng& rng) {
  if (!rng.chance(options.chance)) return {};
  const double all = static_cast<double>(height) * width, limit = -std::log(options.aspect);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = all * rng.uniform(options.low, options.high), ratio = std::exp(rng.uniform(-limit, limit));
    const int h = static_cast<int>(std::lrint(std::sqrt(area * ratio))), w = static_cast<int>(std::lrint(std::sqrt(area / ratio)));
    if (h >= height || w >= width) continue;
    const int y = static_cast<int>(rng.below(static_cast<uint32_t>(height - h + 1)));
    const int x = static_cast<int>(rng.below(static_cast<uint32_t>(width - w + 1)));
    return io::Rect{x, y, w, h};
  }
  return {};
}

Tensor erase(const Tensor& images_BCHW, const std::vector<std::optional<io::Rect>>& boxes, const Tensor& fill) {
  Tensor out = images_BCHW.clone();
  int64_t used = 0;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (!boxes[i]) continue;
    const Tensor hole = window(out[static_cast<int64_t>(i)], *boxes[i]);
    if (!fill.defined()) {
      hole.zero_();
      continue;
    }
    hole.copy_(fill.narrow(0, used, hole.numel()).view(hole.sizes()));
    used += hole.numel();
  }
  return out;
}

Tensor mix_images(const Tensor& images_BCHW, const Mix& mix) {
  if (mix.lambda == 1) return images_BCHW;
  if (!mix.box) return images_BCHW.mul(mix.lambda).add(images_BCHW.flip(0).mul_(1 - mix.lambda));
  Tensor out = images_BCHW.clone();
  window(out, *mix.box).copy_(window(images_BCHW, *mix.box).flip(0));
  return out;
}

Tensor mix_labels(const Tensor& labels_B, int64_t classes, double smoothing, double lambda) {
  const Tensor hit_BC = labels_B.unsqueeze(1).eq(at::arange(classes, labels_B.options())).to(at::kFloat);
  const Tensor smooth_BC = hit_BC.mul(1 - smoothing).add(smoothing / static_cast<double>(classes));
  return lambda == 1 ? smooth_BC : smooth_BC.mul(lambda).add(smooth_BC.flip(0).mul(1 - lambda));
}

}  // namespace flowrun::supervised
