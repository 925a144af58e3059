#include "io/codec/mirror.h"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace flowrun::io {

namespace {

// Swaps pixels from both ends of a row, as long as LEFT lies before RIGHT, which is behind the last.
void mirror_rest(uint8_t* left, uint8_t* right) {
  for (right -= 3; left < right; left += 3, right -= 3) {
    std::array<uint8_t, 3> pixel;
    std::memcpy(pixel.data(), left, 3);
    std::memcpy(left, right, 3);
    std::memcpy(right, pixel.data(), 3);
  }
}

#if defined(__x86_64__)
// Five pixels at a time. The sixteenth byte, outside the five, is put back as it was.
__attribute__((target("ssse3"))) void mirror_row_ssse3(uint8_t* left, uint8_t* right) {
  const __m128i low = _mm_setr_epi8(12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, -1);
  const __m128i high = _mm_setr_epi8(-1, 13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3);
  const __m128i last = _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1);
  const __m128i first = _mm_setr_epi8(-1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  for (; right - left >= 32; left += 15, right -= 15) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(left));        // five pixels and a byte
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(right - 16));  // a byte and five pixels
    const __m128i a_mirrored = _mm_shuffle_epi8(_mm_slli_si128(a, 1), high);
    const __m128i b_mirrored = _mm_shuffle_epi8(_mm_srli_si128(b, 1), low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(left), _mm_or_si128(b_mirrored, _mm_and_si128(a, last)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(right - 16), _mm_or_si128(a_mirrored, _mm_and_si128(b, first)));
  }
  mirror_rest(left, right);
}
#endif

}  // namespace

void mirror(PixelBuffer& image, int view) {
  const size_t stride = static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  uint8_t* row = image.at(view);
  if (image.channels == 1) {
    for (int y = 0; y < image.height; ++y, row += stride) std::reverse(row, row + stride);
    return;
  }
  auto* mirror_row = mirror_rest;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("ssse3")) mirror_row = mirror_row_ssse3;
#endif
  for (int y = 0; y < image.height; ++y, row += stride) mirror_row(row, row + stride);
}

void turn_over(PixelBuffer& image, int view) {
  const auto row = static_cast<ptrdiff_t>(image.width) * image.channels;
  uint8_t* const first = image.at(view);
  for (int y = 0; y < image.height / 2; ++y) std::swap_ranges(first + y * row, first + (y + 1) * row, first + (image.height - 1 - y) * row);
}

}  // namespace flowrun::io
