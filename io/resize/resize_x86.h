#pragma once

#include <algorithm>
#include <cstring>
#include <iterator>

#include "io/resize/resize_kernels.h"

// Shared by the kernels for x86-64, all of which need AVX2.

namespace flowrun::io {

extern const ResizeKernels resize_avx2;
extern const ResizeKernels resize_avx512;

}  // namespace flowrun::io

#if defined(__x86_64__)

#include <immintrin.h>

#define FLOWRUN_AVX2 __attribute__((target("avx2")))

namespace flowrun::io::x86 {

// Loops over few taps are unrolled: KERNEL's rows<N> and column<N> take N times four of them, those of 0 any number.
template <class Kernel>
void filter_rows(const RowsPass& pass) {
  static constexpr void (*unrolled[])(const RowsPass&) = {Kernel::template rows<0>, Kernel::template rows<1>, Kernel::template rows<2>,
                                                          Kernel::template rows<3>, Kernel::template rows<4>, Kernel::template rows<5>};
  unrolled[pass.fours < static_cast<int>(std::size(unrolled)) ? pass.fours : 0](pass);
}

template <class Kernel>
void filter_column(const ColumnPass& pass) {
  static constexpr void (*unrolled[])(const ColumnPass&) = {Kernel::template column<0>, Kernel::template column<1>, Kernel::template column<2>,
                                                            Kernel::template column<3>, Kernel::template column<4>, Kernel::template column<5>};
  unrolled[pass.fours < static_cast<int>(std::size(unrolled)) ? pass.fours : 0](pass);
}

FLOWRUN_AVX2 inline __m256i broadcast(const uint8_t* from) {
  int value;
  std::memcpy(&value, from, sizeof value);
  return _mm256_set1_epi32(value);
}

FLOWRUN_AVX2 inline __m256i two_rows(const uint8_t* a, const uint8_t* b) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a))),
                                 _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), 1);
}

// An output pixel of four rows: of rows 0 and 1, and of 2 and 3, each as 32-bit red, green, blue and nothing.
struct FourRows {
  __m256i rows_01, rows_23;
};

// Four pixels of two rows, without the empty fourth channel, to A and B. With room, four bytes behind them are written too.
FLOWRUN_AVX2 inline void store(__m256i x0, __m256i x1, __m256i x2, __m256i x3, bool has_room, uint8_t* a, uint8_t* b) {
  const __m256i dense = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
  const __m256i bytes = _mm256_shuffle_epi8(_mm256_packus_epi16(_mm256_packs_epi32(x0, x1), _mm256_packs_epi32(x2, x3)), dense);
  const __m128i low = _mm256_castsi256_si128(bytes), high = _mm256_extracti128_si256(bytes, 1);
  if (has_room) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(a), low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(b), high);
  } else {
    alignas(16) uint8_t both[32];
    _mm_store_si128(reinterpret_cast<__m128i*>(both), low);
    _mm_store_si128(reinterpret_cast<__m128i*>(both + 16), high);
    std::memcpy(a, both, 12);
    std::memcpy(b, both + 16, 12);
  }
}

FLOWRUN_AVX2 inline void store(const FourRows (&pixels)[4], const RowsPass& pass, int place) {
  const bool has_room = place + 6 <= pass.output;
  const ptrdiff_t to = static_cast<ptrdiff_t>(place) * 3;
  const auto& [p0, p1, p2, p3] = pixels;
  store(p0.rows_01, p1.rows_01, p2.rows_01, p3.rows_01, has_room, pass.out[0] + to, pass.out[1] + to);
  store(p0.rows_23, p1.rows_23, p2.rows_23, p3.rows_23, has_room, pass.out[2] + to, pass.out[3] + to);
}

}  // namespace flowrun::io::x86

#endif
