#include "nodes/lib/tensor/model/sample_features.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <array>

#include "nodes/lib/tensor/model/token_pool.h"

namespace flowrun::model {
namespace {

constexpr int64_t count = 3, channels = 3;

/// Squares, of which each image has its own number, so that features of different images differ.
void draw(float* values, int64_t side, uint64_t image) {
  const int64_t squares = 2 + 3 * static_cast<int64_t>(image);
  Rng rng(0, hash_text("sample_features"), 0, image);
  for (int64_t c = 0; c < channels; ++c) {
    std::array<std::array<double, 16>, 16> colours{};
    for (auto& row : colours) {
      for (double& colour : row) colour = rng.normal();
    }
    for (int64_t y = 0; y < side; ++y) {
      const auto& row = colours[static_cast<size_t>(y * squares / side)];
      for (int64_t x = 0; x < side; ++x) *values++ = static_cast<float>(row[static_cast<size_t>(x * squares / side)] + 0.25 * rng.normal());
    }
  }
}

}  // namespace

SampleFeatures sample_features(const Encoder& encoder, int64_t side) {
  const at::NoGradGuard no_grad;
  SampleFeatures out{at::empty({count, channels, side, side}, at::kFloat), {}};
  for (int64_t image = 0; image < count; ++image) {
    draw(out.images_BCHW.mutable_data_ptr<float>() + image * channels * side * side, side, static_cast<uint64_t>(image));
  }
  const Tokens tokens = encoder.encode(out.images_BCHW, Seen(), EncodeOptions());
  out.features_BD = pooled(tokens, encoder.shape().class_token ? "cls" : "mean").contiguous();
  return out;
}

}  // namespace flowrun::model
