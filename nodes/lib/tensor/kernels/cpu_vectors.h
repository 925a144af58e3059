// Vectors of numbers for the loops that the compiler can't vectorise by itself: as wide as the instruction set has them. Compiled with
// cpu_loops.h, so the rules there hold here.
#pragma once

#include <cstddef>
#include <utility>

#include "nodes/lib/tensor/kernels/cpu_numbers.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

// NOLINTBEGIN(misc-definitions-in-headers): each file that includes this gives it a namespace of its own
namespace flowrun::kernels::FLOWRUN_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRegisters = 32;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kRegisters = 16;
#else
constexpr int kVectorBytes = 16, kRegisters = 16;
#endif

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef int32_t integer;
  typedef integer ints __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef int64_t integer;
  typedef integer ints __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
using Ints = typename VectorOf<T>::ints;
template <class T>
using Integer = typename VectorOf<T>::integer;
template <class T>
constexpr int64_t kLanes = kVectorBytes / static_cast<int64_t>(sizeof(T));

template <class T>
constexpr int64_t whole(int64_t count) {
  return (count + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

/// 0, 1, 2, ..
template <class T>
inline Ints<T> lane_numbers() {
  Ints<T> out;
  for (int64_t i = 0; i < kLanes<T>; ++i) out[i] = static_cast<Integer<T>>(i);
  return out;
}

template <class T>
inline Vector<T> load_all(const T* from) {
  Vector<T> out;
  __builtin_memcpy(&out, from, sizeof out);
  return out;
}
template <class T>
inline void store_all(T* to, Vector<T> value) {
  __builtin_memcpy(to, &value, sizeof value);
}

/// The first `count` numbers, zeros behind them; no other memory is touched.
template <class T>
inline Vector<T> load_some(const T* from, int64_t count) {
  Vector<T> out = {};
  for (int64_t i = 0; i < count; ++i) out[i] = from[i];
  return out;
}
template <class T>
inline void store_some(T* to, Vector<T> value, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = value[i];
}
#if defined(__AVX512F__)
template <>
inline Vector<float> load_some(const float* from, int64_t count) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
}
template <>
inline void store_some(float* to, Vector<float> value, int64_t count) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), value);
}
#elif defined(__AVX2__)
template <>
inline Vector<float> load_some(const float* from, int64_t count) {
  return _mm256_maskload_ps(from, cast_bits<__m256i>(lane_numbers<float>() < static_cast<int32_t>(count)));
}
template <>
inline void store_some(float* to, Vector<float> value, int64_t count) {
  _mm256_maskstore_ps(to, cast_bits<__m256i>(lane_numbers<float>() < static_cast<int32_t>(count)), value);
}
#endif

template <class T>
inline Vector<T> load_up_to(const T* from, int64_t count) {
  return count >= kLanes<T> ? load_all(from) : load_some(from, count);
}
template <class T>
inline void store_up_to(T* to, Vector<T> value, int64_t count) {
  count >= kLanes<T> ? store_all(to, value) : store_some(to, value, count);
}

/// The lanes in another order: lane i is that of number i ^ kStep.
template <class T, int64_t kStep, std::size_t... kLane>
inline Vector<T> exchanged(Vector<T> x, std::index_sequence<kLane...>) {
  return __builtin_shufflevector(x, x, (static_cast<int64_t>(kLane) ^ kStep)...);
}
/// x from lane `kFirst` on and y likewise, in turns.
template <class T, int64_t kFirst, std::size_t... kLane>
inline Vector<T> in_turns(Vector<T> x, Vector<T> y, std::index_sequence<kLane...>) {
  return __builtin_shufflevector(x, y, (kFirst + static_cast<int64_t>(kLane / 2 + kLane % 2 * sizeof...(kLane)))...);
}
template <class T>
using AllLanes = std::make_index_sequence<static_cast<std::size_t>(kLanes<T>)>;

template <class T, int64_t kStep = kLanes<T> / 2>
inline T sum_of(Vector<T> x) {
  if constexpr (kStep == 0) {
    return x[0];
  } else {
    return sum_of<T, kStep / 2>(x + exchanged<T, kStep>(x, AllLanes<T>()));
  }
}
template <class T, int64_t kStep = kLanes<T> / 2>
inline T largest_of(Vector<T> x) {
  if constexpr (kStep == 0) {
    return x[0];
  } else {
    const Vector<T> other = exchanged<T, kStep>(x, AllLanes<T>());
    return largest_of<T, kStep / 2>(x > other ? x : other);
  }
}

/// e^x for x <= 0: never below e^-87, and NaN of NaN.
inline Vector<float> exponential(Vector<float> x) {
  const Vector<float> least = Vector<float>{} - 87.0f;
  return exponential_of<Vector<float>, Ints<float>>(x < least ? least : x);
}
inline Vector<double> exponential(Vector<double> x) {
  for (int64_t i = 0; i < kLanes<double>; ++i) x[i] = __builtin_exp(x[i]);
  return x;
}

}  // namespace
}  // namespace flowrun::kernels::FLOWRUN_ISA
// NOLINTEND(misc-definitions-in-headers)
