// Resizing with AVX2. A coefficient of 23 bits is split into two that fit 16-bit multiply-add, k = 2048 high + low, so the
// sums are exact.
#include "io/resize/resize_x86.h"

#if defined(__x86_64__)

#define FLOWRUN_TARGET __attribute__((target("avx2")))

namespace flowrun::io {

namespace {

using namespace x86;

constexpr int packed_bytes = 16;
constexpr int low_bits = 11;

// high 0 1, high 2 3, low 0 1, low 2 3.
void pack(const int32_t* four, uint8_t* out) {
  int16_t parts[8];
  for (int i = 0; i < 4; ++i) {
    parts[i] = static_cast<int16_t>(four[i] >> low_bits);
    parts[i + 4] = static_cast<int16_t>(four[i] & ((1 << low_bits) - 1));
  }
  std::memcpy(out, parts, sizeof parts);
}

struct Sums {
  __m256i high, low;
};

FLOWRUN_TARGET inline Sums start() { return {_mm256_setzero_si256(), _mm256_set1_epi32(resize_half)}; }

FLOWRUN_TARGET inline void add(Sums& sums, __m256i pairs, __m256i high, __m256i low) {
  sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(pairs, high));
  sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(pairs, low));
}

FLOWRUN_TARGET inline __m256i result(const Sums& sums) {
  return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(sums.high, low_bits), sums.low), resize_bits);
}

// Output X.
template <int unrolled>
FLOWRUN_TARGET inline FourRows filter_pixel(const RowsPass& pass, int x) {
  // Pixels 0 1 and 2 3 of a row as 16-bit pairs of one channel.
  const __m256i first_pairs = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i second_pairs = _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  const int fours = unrolled > 0 ? unrolled : pass.fours;
  const uint8_t* packed = pass.packed + static_cast<ptrdiff_t>(x) * fours * packed_bytes;
  ptrdiff_t at = static_cast<ptrdiff_t>(pass.first[x]) * 3;
  Sums sums_01 = start(), sums_23 = start();
  for (int k = 0; k < fours; ++k, at += 12, packed += packed_bytes) {
    const __m256i high_0 = broadcast(packed), high_1 = broadcast(packed + 4), low_0 = broadcast(packed + 8), low_1 = broadcast(packed + 12);
    const __m256i rows_01 = two_rows(pass.in[0] + at, pass.in[1] + at), rows_23 = two_rows(pass.in[2] + at, pass.in[3] + at);
    add(sums_01, _mm256_shuffle_epi8(rows_01, first_pairs), high_0, low_0);
    add(sums_23, _mm256_shuffle_epi8(rows_23, first_pairs), high_0, low_0);
    add(sums_01, _mm256_shuffle_epi8(rows_01, second_pairs), high_1, low_1);
    add(sums_23, _mm256_shuffle_epi8(rows_23, second_pairs), high_1, low_1);
  }
  return {result(sums_01), result(sums_23)};
}

template <int unrolled>
FLOWRUN_TARGET void filter_four_rows(const RowsPass& given) {
  const RowsPass pass = given;  // a copy: the compiler can't know that the output doesn't overlap the pass
  for (int block = 0; block < pass.output; block += 4) {
    const int place = std::min(block, pass.output - 4);
    const int x = pass.flip ? pass.output - 1 - place : place, step = pass.flip ? -1 : 1;
    store({filter_pixel<unrolled>(pass, x), filter_pixel<unrolled>(pass, x + step), filter_pixel<unrolled>(pass, x + 2 * step),
           filter_pixel<unrolled>(pass, x + 3 * step)},
          pass, place);
  }
}

FLOWRUN_TARGET inline __m256i widen(const uint8_t* from) { return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }

template <int unrolled>
FLOWRUN_TARGET void filter_one_column(const ColumnPass& pass) {
  const ptrdiff_t stride = pass.stride;
  const int fours = unrolled > 0 ? unrolled : pass.fours, length = pass.length;
  for (int block = 0; block < length; block += 16) {
    const int x = std::min(block, length - 16);
    Sums left = start(), right = start();
    const uint8_t* in = pass.in + x;
    const uint8_t* packed = pass.packed;
    for (int k = 0; k < 2 * fours; ++k, in += 2 * stride) {
      const __m256i a = widen(in), b = widen(in + stride);
      const uint8_t* const pair = packed + k / 2 * packed_bytes + k % 2 * 4;
      const __m256i high = broadcast(pair), low = broadcast(pair + 8);
      add(left, _mm256_unpacklo_epi16(a, b), high, low);
      add(right, _mm256_unpackhi_epi16(a, b), high, low);
    }
    const __m256i words = _mm256_packs_epi32(result(left), result(right));
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(pass.out + x), _mm256_castsi256_si128(bytes));
  }
}

struct Kernel {
  template <int unrolled>
  static void rows(const RowsPass& pass) {
    filter_four_rows<unrolled>(pass);
  }
  template <int unrolled>
  static void column(const ColumnPass& pass) {
    filter_one_column<unrolled>(pass);
  }
};

}  // namespace

const ResizeKernels resize_avx2 = {
    .name = "avx2", .packed_bytes = packed_bytes, .pack = pack, .filter_rows = x86::filter_rows<Kernel>, .filter_column = x86::filter_column<Kernel>};

}  // namespace flowrun::io

#endif
