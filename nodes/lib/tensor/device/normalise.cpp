#include "nodes/lib/tensor/device/normalise.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace flowrun {
namespace {

constexpr int channels = 3;

#if defined(__x86_64__)
// Eight pixels at a time; AVX2 alone has no fused multiply-add, so products are rounded. Returns how many were done.
__attribute__((target("avx2"))) int64_t normalise_avx2(const uint8_t* in, int64_t pixels, const float* scale, const float* shift, float* out) {
  // The positions of a channel's bytes in the first sixteen, and in the last sixteen, of twenty-four.
  alignas(16) static constexpr int8_t places[channels][2][16] = {
      {{0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, -1, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1}},
      {{1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1}},
      {{2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {-1, -1, -1, -1, -1, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1}}};
  int64_t i = 0;
  for (; i + 8 <= pixels; i += 8) {
    const __m128i first = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i * channels));
    const __m128i last = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i * channels + 8));
    for (int c = 0; c < channels; ++c) {
      const __m128i a = _mm_shuffle_epi8(first, _mm_load_si128(reinterpret_cast<const __m128i*>(places[c][0])));
      const __m128i b = _mm_shuffle_epi8(last, _mm_load_si128(reinterpret_cast<const __m128i*>(places[c][1])));
      const __m256 values = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_or_si128(a, b)));
      _mm256_storeu_ps(out + c * pixels + i, _mm256_add_ps(_mm256_mul_ps(values, _mm256_set1_ps(scale[c])), _mm256_set1_ps(shift[c])));
    }
  }
  return i;
}
#endif

}  // namespace

void normalise(const uint8_t* in, int64_t pixels, const float* scale, const float* shift, float* out) {
  int64_t i = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) i = normalise_avx2(in, pixels, scale, shift, out);
#endif
  for (; i < pixels; ++i) {
    for (int c = 0; c < channels; ++c) {
      volatile const float product = static_cast<float>(in[i * channels + c]) * scale[c];  // not fused with the sum
      out[c * pixels + i] = product + shift[c];
    }
  }
}

}  // namespace flowrun
