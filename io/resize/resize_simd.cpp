// The inner loops of a resize in vectors, by Highway: compiled once for each instruction set, of which the processor's best is taken.
//
// A coefficient of 23 bits is split into two that fit a multiply-add of 16-bit pairs, k = 2048 high + low, so the sums are exact.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "io/resize/resize_simd.cpp"
// Vectors without a fixed size have none of the blocks that these loops are made of; processors with SVE have NEON, too.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#include <algorithm>
#include <cstring>
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include <iterator>
#include <vector>

#include "io/resize/resize_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace flowrun::io::HWY_NAMESPACE {
namespace {

// Without shuffles of bytes, which would be made of scalars: the loops of resize.cpp are faster.
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_TARGET == HWY_SSE2
const ResizeKernels* kernels() { return nullptr; }
#else

namespace hn = hwy::HWY_NAMESPACE;

constexpr int packed_bytes = 16;
constexpr int low_bits = 11;

using Words = hn::CappedTag<int16_t, 32>;
using Bytes = hn::Repartition<uint8_t, Words>;
using Sums32 = hn::RepartitionToWide<Words>;
using Block = hn::FixedTag<uint8_t, 16>;
constexpr Words words;
constexpr Bytes bytes;
constexpr Sums32 sums;
using WordVector = hn::Vec<Words>;
using ByteVector = hn::Vec<Bytes>;
using SumVector = hn::Vec<Sums32>;

// A block of 16 bytes holds pixels of one row.
constexpr int rows_of_vector = HWY_MAX_BYTES / 16;
constexpr int vectors_of_four_rows = 4 / rows_of_vector;
static_assert(vectors_of_four_rows * rows_of_vector == 4);

/// high 0 1, high 2 3, low 0 1, low 2 3.
void pack(const int32_t* four, uint8_t* out) {
  int16_t parts[8];
  for (int i = 0; i < 4; ++i) {
    parts[i] = static_cast<int16_t>(four[i] >> low_bits);
    parts[i + 4] = static_cast<int16_t>(four[i] & ((1 << low_bits) - 1));
  }
  std::memcpy(out, parts, sizeof parts);
}

/// Where the pairs of a product go, of the even ones and of the others, is the processor's own: the end puts both together.
struct Sums {
  SumVector high, high_odd, low, low_odd;

  HWY_INLINE void add(WordVector pairs, WordVector high_of, WordVector low_of) {
    high = hn::ReorderWidenMulAccumulate(sums, pairs, high_of, high, high_odd);
    low = hn::ReorderWidenMulAccumulate(sums, pairs, low_of, low, low_odd);
  }
  HWY_INLINE SumVector result() const {
    const SumVector upper = hn::ShiftLeft<low_bits>(hn::RearrangeToOddPlusEven(high, high_odd));
    return hn::ShiftRight<resize_bits>(hn::Add(upper, hn::RearrangeToOddPlusEven(low, low_odd)));
  }
};

/// Not a constructor: one that the compiler makes would be without the instruction set.
HWY_INLINE Sums start() { return {hn::Zero(sums), hn::Zero(sums), hn::Set(sums, resize_half), hn::Zero(sums)}; }

/// The coefficients of four taps.
struct Coefficients {
  WordVector high_0, high_1, low_0, low_1;
};

HWY_INLINE WordVector pair(const uint8_t* from) {
  int32_t value;
  std::memcpy(&value, from, sizeof value);
  return hn::BitCast(words, hn::Set(sums, value));
}
HWY_INLINE Coefficients coefficients(const uint8_t* packed) { return {pair(packed), pair(packed + 4), pair(packed + 8), pair(packed + 12)}; }

// ---- rows

/// 16 bytes of each row of a vector.
HWY_INLINE ByteVector load_rows(const uint8_t* const* in, ptrdiff_t at) {
  constexpr Block block;
#if HWY_MAX_BYTES == 16
  return hn::LoadU(block, in[0] + at);
#elif HWY_MAX_BYTES == 32
  return hn::Combine(bytes, hn::LoadU(block, in[1] + at), hn::LoadU(block, in[0] + at));
#else
  constexpr hn::FixedTag<uint8_t, 32> two;
  return hn::Combine(bytes, hn::Combine(two, hn::LoadU(block, in[3] + at), hn::LoadU(block, in[2] + at)),
                     hn::Combine(two, hn::LoadU(block, in[1] + at), hn::LoadU(block, in[0] + at)));
#endif
}

/// An output pixel of four rows: in each block red, green, blue and nothing, 32 bits each.
struct FourRows {
  SumVector of[vectors_of_four_rows];
};

/// Output x.
template <int unrolled>
HWY_INLINE FourRows filter_pixel(const RowsPass& pass, int x) {
  // Pixels 0 1 and 2 3 of a row as 16-bit pairs of one channel; 255 gives zero.
  alignas(16) static constexpr uint8_t first[16] = {0, 255, 3, 255, 1, 255, 4, 255, 2, 255, 5, 255, 255, 255, 255, 255};
  alignas(16) static constexpr uint8_t second[16] = {6, 255, 9, 255, 7, 255, 10, 255, 8, 255, 11, 255, 255, 255, 255, 255};
  const ByteVector first_pairs = hn::LoadDup128(bytes, first), second_pairs = hn::LoadDup128(bytes, second);
  const int fours = unrolled > 0 ? unrolled : pass.fours;
  const uint8_t* packed = pass.packed + static_cast<ptrdiff_t>(x) * fours * packed_bytes;
  ptrdiff_t at = static_cast<ptrdiff_t>(pass.first[x]) * 3;
  Sums all[vectors_of_four_rows];
#pragma GCC unroll 4
  for (int v = 0; v < vectors_of_four_rows; ++v) all[v] = start();
  for (int k = 0; k < fours; ++k, at += 12, packed += packed_bytes) {
    const Coefficients four = coefficients(packed);
#pragma GCC unroll 4
    for (int v = 0; v < vectors_of_four_rows; ++v) {
      const ByteVector rows = load_rows(pass.in + static_cast<ptrdiff_t>(v) * rows_of_vector, at);
      all[v].add(hn::BitCast(words, hn::TableLookupBytesOr0(rows, first_pairs)), four.high_0, four.low_0);
      all[v].add(hn::BitCast(words, hn::TableLookupBytesOr0(rows, second_pairs)), four.high_1, four.low_1);
    }
  }
  FourRows out;
#pragma GCC unroll 4
  for (int v = 0; v < vectors_of_four_rows; ++v) out.of[v] = all[v].result();
  return out;
}

/// Four pixels of a vector's rows, without the empty fourth channel. With room, four bytes behind them are written too.
HWY_INLINE void store_rows(SumVector x0, SumVector x1, SumVector x2, SumVector x3, bool has_room, uint8_t* const* out, ptrdiff_t to) {
  alignas(16) static constexpr uint8_t first[16] = {0, 2, 4, 8, 10, 12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
  alignas(16) static constexpr uint8_t second[16] = {255, 255, 255, 255, 255, 255, 0, 2, 4, 8, 10, 12, 255, 255, 255, 255};
  const WordVector zero = hn::Zero(words), most = hn::Set(words, 255);
  const WordVector left = hn::Min(hn::Max(hn::ReorderDemote2To(words, x0, x1), zero), most);
  const WordVector right = hn::Min(hn::Max(hn::ReorderDemote2To(words, x2, x3), zero), most);
  const ByteVector dense = hn::Or(hn::TableLookupBytesOr0(hn::BitCast(bytes, left), hn::LoadDup128(bytes, first)),
                                  hn::TableLookupBytesOr0(hn::BitCast(bytes, right), hn::LoadDup128(bytes, second)));
  if (!has_room) {
    alignas(HWY_MAX_BYTES) uint8_t all[HWY_MAX_BYTES];
    hn::Store(dense, bytes, all);
    for (int row = 0; row < rows_of_vector; ++row) std::memcpy(out[row] + to, all + 16 * row, 12);
    return;
  }
  constexpr Block block;
#if HWY_MAX_BYTES == 16
  hn::StoreU(dense, block, out[0] + to);
#elif HWY_MAX_BYTES == 32
  hn::StoreU(hn::LowerHalf(dense), block, out[0] + to);
  hn::StoreU(hn::UpperHalf(block, dense), block, out[1] + to);
#else
  constexpr hn::FixedTag<uint8_t, 32> two;
  const auto upper = hn::LowerHalf(dense), lower = hn::UpperHalf(two, dense);
  hn::StoreU(hn::LowerHalf(upper), block, out[0] + to);
  hn::StoreU(hn::UpperHalf(block, upper), block, out[1] + to);
  hn::StoreU(hn::LowerHalf(lower), block, out[2] + to);
  hn::StoreU(hn::UpperHalf(block, lower), block, out[3] + to);
#endif
}

template <int unrolled>
void filter_four_rows(const RowsPass& given) {
  const RowsPass pass = given;  // a copy: the compiler can't know that the output doesn't overlap the pass
  for (int begin = 0; begin < pass.output; begin += 4) {
    const int place = std::min(begin, pass.output - 4);
    const int x = pass.flip ? pass.output - 1 - place : place, step = pass.flip ? -1 : 1;
    const FourRows p0 = filter_pixel<unrolled>(pass, x), p1 = filter_pixel<unrolled>(pass, x + step);
    const FourRows p2 = filter_pixel<unrolled>(pass, x + 2 * step), p3 = filter_pixel<unrolled>(pass, x + 3 * step);
    const bool has_room = place + 6 <= pass.output;
#pragma GCC unroll 4
    for (int v = 0; v < vectors_of_four_rows; ++v) {
      store_rows(p0.of[v], p1.of[v], p2.of[v], p3.of[v], has_room, pass.out + static_cast<ptrdiff_t>(v) * rows_of_vector,
                 static_cast<ptrdiff_t>(place) * 3);
    }
  }
}

// ---- columns

template <int unrolled>
void filter_one_column(const ColumnPass& pass) {
  constexpr hn::Rebind<uint8_t, Words> narrow;
  const auto count = static_cast<int>(hn::Lanes(narrow));
  const ptrdiff_t stride = pass.stride;
  const int fours = unrolled > 0 ? unrolled : pass.fours, length = pass.length;
  for (int begin = 0; begin < length; begin += count) {
    const int x = std::min(begin, length - count);
    Sums left = start(), right = start();
    const uint8_t* in = pass.in + x;
    const uint8_t* packed = pass.packed;
    for (int k = 0; k < fours; ++k, in += 4 * stride, packed += packed_bytes) {
      const WordVector a = hn::PromoteTo(words, hn::LoadU(narrow, in)), b = hn::PromoteTo(words, hn::LoadU(narrow, in + stride));
      const WordVector c = hn::PromoteTo(words, hn::LoadU(narrow, in + 2 * stride)), d = hn::PromoteTo(words, hn::LoadU(narrow, in + 3 * stride));
      const Coefficients four = coefficients(packed);
      left.add(hn::InterleaveLower(words, a, b), four.high_0, four.low_0);
      right.add(hn::InterleaveUpper(words, a, b), four.high_0, four.low_0);
      left.add(hn::InterleaveLower(words, c, d), four.high_1, four.low_1);
      right.add(hn::InterleaveUpper(words, c, d), four.high_1, four.low_1);
    }
    hn::StoreU(hn::DemoteTo(narrow, hn::ReorderDemote2To(words, left.result(), right.result())), narrow, pass.out + x);
  }
}

// Loops over few taps are unrolled.
void filter_rows(const RowsPass& pass) {
  static constexpr void (*unrolled[])(const RowsPass&) = {filter_four_rows<0>, filter_four_rows<1>, filter_four_rows<2>,
                                                          filter_four_rows<3>, filter_four_rows<4>, filter_four_rows<5>};
  unrolled[pass.fours < static_cast<int>(std::size(unrolled)) ? pass.fours : 0](pass);
}

void filter_column(const ColumnPass& pass) {
  static constexpr void (*unrolled[])(const ColumnPass&) = {filter_one_column<0>, filter_one_column<1>, filter_one_column<2>,
                                                            filter_one_column<3>, filter_one_column<4>, filter_one_column<5>};
  unrolled[pass.fours < static_cast<int>(std::size(unrolled)) ? pass.fours : 0](pass);
}

const ResizeKernels* kernels() {
  static const ResizeKernels here{
      .name = hwy::TargetName(HWY_TARGET), .packed_bytes = packed_bytes, .pack = pack, .filter_rows = filter_rows, .filter_column = filter_column};
  return &here;
}
#endif

}  // namespace
}  // namespace flowrun::io::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flowrun::io {
namespace {

HWY_EXPORT(kernels);

}  // namespace

std::span<const ResizeKernels* const> resize_kernels() {
  static const std::vector<const ResizeKernels*> all = [] {
    std::vector<const ResizeKernels*> list;
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {  // the best first
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      if (const ResizeKernels* const here = HWY_DYNAMIC_DISPATCH(kernels)()) list.push_back(here);
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return list;
  }();
  return all;
}

}  // namespace flowrun::io
#endif
