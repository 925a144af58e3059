#include "io/codec/blur.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace flowrun::io {
namespace {

// Sums are written per block of values, each in the order of the taps, and without fused multiply-add: whatever vectors
// the compiler makes of a block, every value has one result.
constexpr int kBlock = 32;

#define FLOWRUN_ALWAYS_INLINE __attribute__((always_inline)) inline

// To the nearest integer, halves to even: adding 1.5 * 2^23 leaves it in the low bits. VALUE within 0 to 255.
FLOWRUN_ALWAYS_INLINE uint8_t rounded(float value) { return static_cast<uint8_t>(std::bit_cast<uint32_t>(value + 12582912.0F)); }

// OUT[i] = sum over taps of rows[±tap][i]; ROWS points at the middle one.
FLOWRUN_ALWAYS_INLINE void column_block(const uint8_t* const* rows, const float* kernel, int radius, int64_t at, float* out) {
  float sum[kBlock];
  for (int i = 0; i < kBlock; ++i) sum[i] = kernel[0] * static_cast<float>(rows[0][at + i]);
  for (int tap = 1; tap <= radius; ++tap) {
    const uint8_t *above = rows[-tap] + at, *below = rows[tap] + at;
    for (int i = 0; i < kBlock; ++i) sum[i] += kernel[tap] * static_cast<float>(above[i] + below[i]);
  }
  for (int i = 0; i < kBlock; ++i) out[at + i] = sum[i];
}

// OUT[i] = sum over taps of IN[i ± 3 tap], rounded.
FLOWRUN_ALWAYS_INLINE void row_block(const float* in, const float* kernel, int radius, int64_t at, uint8_t* out) {
  float sum[kBlock];
  for (int i = 0; i < kBlock; ++i) sum[i] = kernel[0] * in[at + i];
  for (int tap = 1; tap <= radius; ++tap) {
    const float *left = in + at - 3 * tap, *right = in + at + 3 * tap;
    for (int i = 0; i < kBlock; ++i) sum[i] += kernel[tap] * (left[i] + right[i]);
  }
  for (int i = 0; i < kBlock; ++i) out[at + i] = rounded(sum[i]);
}

// One row of VALUES: from the rows about it to OUT, by way of PADDED (its middle part), where 3 * radius values lie free
// on either side. All hold EXTENT values, at least a block; the last block may overlap the one before.
FLOWRUN_ALWAYS_INLINE void blur_row_inline(const uint8_t* const* rows, const float* kernel, int radius, int64_t values, int64_t extent, float* padded,
                                           uint8_t* out) {
  for (int64_t at = 0; at < extent; at += kBlock) column_block(rows, kernel, radius, std::min(at, extent - kBlock), padded);
  for (int64_t x = 1; x <= radius; ++x) {
    for (int64_t c = 0; c < 3; ++c) {
      padded[c - 3 * x] = padded[c + 3 * x];
      padded[values - 3 + c + 3 * x] = padded[values - 3 + c - 3 * x];
    }
  }
  for (int64_t at = 0; at < extent; at += kBlock) row_block(padded, kernel, radius, std::min(at, extent - kBlock), out);
}

void blur_row(const uint8_t* const* rows, const float* kernel, int radius, int64_t values, int64_t extent, float* padded, uint8_t* out) {
  blur_row_inline(rows, kernel, radius, values, extent, padded, out);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void blur_row_avx2(const uint8_t* const* rows, const float* kernel, int radius, int64_t values, int64_t extent,
                                                   float* padded, uint8_t* out) {
  blur_row_inline(rows, kernel, radius, values, extent, padded, out);
}
#endif

int reflected(int at, int size) { return at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at; }

}  // namespace

void GaussianBlur::set_kernel(int kernel_size, double sigma) {
  kernel_.clear();
  double sum = 0;
  for (int tap = 0; tap <= kernel_size / 2; ++tap) {
    const double weight = std::exp(-0.5 * (tap / sigma) * (tap / sigma));
    if (weight < 1e-9) break;  // too small to change any float32 sum of pixels
    kernel_.push_back(static_cast<float>(weight));
    sum += tap == 0 ? weight : 2 * weight;
  }
  for (float& weight : kernel_) weight = static_cast<float>(weight / sum);
}

void GaussianBlur::blur(uint8_t* pixels, int height, int width, int kernel_size, double sigma) {
  set_kernel(kernel_size, sigma);
  const int radius = static_cast<int>(kernel_.size()) - 1;
  if (radius == 0) return;
  const int64_t values = 3 * static_cast<int64_t>(width), extent = std::max<int64_t>(values, kBlock);
  source_.resize(static_cast<size_t>(extent * height));
  for (int y = 0; y < height; ++y) std::copy_n(pixels + y * values, values, source_.data() + y * extent);
  rows_.clear();
  for (int y = -radius; y < height + radius; ++y) rows_.push_back(source_.data() + reflected(y, height) * extent);
  padded_.resize(static_cast<size_t>(extent + 6 * radius));
  line_.resize(static_cast<size_t>(extent));
  auto* row = blur_row;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) row = blur_row_avx2;
#endif
  for (int y = 0; y < height; ++y) {
    row(rows_.data() + radius + y, kernel_.data(), radius, values, extent, padded_.data() + 3 * radius, line_.data());
    std::copy_n(line_.data(), values, pixels + y * values);
  }
}

}  // namespace flowrun::io
