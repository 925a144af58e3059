// Resizing with AVX-512 VNNI, in vectors of 256 bits. A coefficient of 23 bits is split into three signed bytes,
// k = 65536 high + 256 middle + low, whose products with four pixels one instruction adds up exactly.
#include "io/resize/resize_x86.h"

#if defined(__x86_64__)

#define FLOWRUN_TARGET __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

namespace flowrun::io {

namespace {

using namespace x86;

constexpr int packed_bytes = 12;

// high 0 1 2 3, middle 0 1 2 3, low 0 1 2 3.
void pack(const int32_t* four, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    const auto low = static_cast<int8_t>(four[i] & 255);
    const int32_t rest = (four[i] - low) >> 8;
    const auto middle = static_cast<int8_t>(rest & 255);
    out[i] = static_cast<uint8_t>((rest - middle) >> 8);
    out[i + 4] = static_cast<uint8_t>(middle);
    out[i + 8] = static_cast<uint8_t>(low);
  }
}

struct Sums {
  __m256i high, middle, low;
};

FLOWRUN_TARGET inline Sums start() { return {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_set1_epi32(resize_half)}; }

struct Coefficients {
  __m256i high, middle, low;
};

FLOWRUN_TARGET inline Coefficients load(const uint8_t* packed) { return {broadcast(packed), broadcast(packed + 4), broadcast(packed + 8)}; }

FLOWRUN_TARGET inline void add(Sums& sums, __m256i fours, const Coefficients& k) {
  sums.high = _mm256_dpbusd_epi32(sums.high, fours, k.high);
  sums.middle = _mm256_dpbusd_epi32(sums.middle, fours, k.middle);
  sums.low = _mm256_dpbusd_epi32(sums.low, fours, k.low);
}

FLOWRUN_TARGET inline __m256i result(const Sums& sums) {
  const __m256i upper = _mm256_add_epi32(_mm256_slli_epi32(sums.high, 8), sums.middle);
  return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(upper, 8), sums.low), resize_bits);
}

// Output X.
template <int unrolled>
FLOWRUN_TARGET inline FourRows filter_pixel(const RowsPass& pass, int x) {
  const __m256i by_channel = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
  const int fours = unrolled > 0 ? unrolled : pass.fours;
  const uint8_t* packed = pass.packed + static_cast<ptrdiff_t>(x) * fours * packed_bytes;
  ptrdiff_t at = static_cast<ptrdiff_t>(pass.first[x]) * 3;
  Sums sums_01 = start(), sums_23 = start();
  for (int k = 0; k < fours; ++k, at += 12, packed += packed_bytes) {
    const Coefficients four = load(packed);
    add(sums_01, _mm256_shuffle_epi8(two_rows(pass.in[0] + at, pass.in[1] + at), by_channel), four);
    add(sums_23, _mm256_shuffle_epi8(two_rows(pass.in[2] + at, pass.in[3] + at), by_channel), four);
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

FLOWRUN_TARGET inline __m256i load_row(const uint8_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

template <int unrolled>
FLOWRUN_TARGET void filter_one_column(const ColumnPass& pass) {
  const ptrdiff_t stride = pass.stride;
  const int fours = unrolled > 0 ? unrolled : pass.fours, length = pass.length;
  for (int block = 0; block < length; block += 32) {
    const int x = std::min(block, length - 32);
    Sums s0 = start(), s1 = start(), s2 = start(), s3 = start();
    const uint8_t* in = pass.in + x;
    const uint8_t* packed = pass.packed;
    for (int k = 0; k < fours; ++k, in += 4 * stride, packed += packed_bytes) {
      const __m256i a = load_row(in), b = load_row(in + stride), c = load_row(in + 2 * stride), d = load_row(in + 3 * stride);
      const __m256i ab_left = _mm256_unpacklo_epi8(a, b), ab_right = _mm256_unpackhi_epi8(a, b);
      const __m256i cd_left = _mm256_unpacklo_epi8(c, d), cd_right = _mm256_unpackhi_epi8(c, d);
      const Coefficients four = load(packed);
      add(s0, _mm256_unpacklo_epi16(ab_left, cd_left), four);
      add(s1, _mm256_unpackhi_epi16(ab_left, cd_left), four);
      add(s2, _mm256_unpacklo_epi16(ab_right, cd_right), four);
      add(s3, _mm256_unpackhi_epi16(ab_right, cd_right), four);
    }
    const __m256i left = _mm256_packs_epi32(result(s0), result(s1)), right = _mm256_packs_epi32(result(s2), result(s3));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(pass.out + x), _mm256_packus_epi16(left, right));
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

const ResizeKernels resize_avx512 = {.name = "avx512",
                                     .packed_bytes = packed_bytes,
                                     .pack = pack,
                                     .filter_rows = x86::filter_rows<Kernel>,
                                     .filter_column = x86::filter_column<Kernel>};

}  // namespace flowrun::io

#endif
