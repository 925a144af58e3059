#include "nodes/lib/tensor/model/time_embedding.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <cmath>
#include <stdexcept>

#include "nodes/lib/tensor/device/weight_casts.h"

namespace flowrun::model {

Tensor time_sinusoids(const Tensor& time_B, int64_t width, at::ScalarType type) {
  const int64_t half = width / 2;
  const Tensor frequencies = at::arange(half, time_B.options().dtype(type)).mul(-std::log(10000.0) / static_cast<double>(half - 1)).exp();
  const Tensor angles = time_B.to(type).unsqueeze(1).mul(frequencies);
  return at::cat({angles.sin(), angles.cos()}, 1);
}

TimeEmbedding::TimeEmbedding(Parameters& parameters, int64_t width) : width_(width) {
  if (width < 4 || width % 2 != 0) throw std::invalid_argument("a width of " + std::to_string(width) + " has no pairs of sines and cosines");
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    const size_t first = parameters.add(name + ".weight", {out, in}, Init::linear);
    parameters.add(name + ".bias", {out}, Init::zeros);
    return first;
  };
  fc1_ = linear("time.fc1", 2 * width, width);
  fc2_ = linear("time.fc2", width, 2 * width);
}

Tensor TimeEmbedding::condition(const Parameters& p, const Tensor& time_B, int64_t rows) const {
  const Tensor& weight = p[fc1_];
  const Tensor times = time_B.defined() ? time_B : at::zeros({1}, weight.options().requires_grad(false));
  const auto layer = [&](const Tensor& x, size_t place) { return at::silu(at::linear(x, cast_weight(p[place]), cast_weight(p[place + 1]))); };
  const Tensor each = layer(layer(time_sinusoids(times, width_, weight.scalar_type()), fc1_), fc2_);
  if (!time_B.defined()) return each.expand({rows, -1});
  if (times.dim() != 1 || times.size(0) == 0 || rows % times.size(0) != 0) {
    throw std::invalid_argument(std::to_string(times.numel()) + " times for " + std::to_string(rows) + " rows");
  }
  return rows == times.size(0) ? each : each.repeat_interleave(rows / times.size(0), 0);
}

}  // namespace flowrun::model
