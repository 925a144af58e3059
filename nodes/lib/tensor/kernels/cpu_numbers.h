// Numbers for the loops of cpu_loops.h: types, conversions, the normal distribution. Compiled with them, so the rules there
// hold here.
#pragma once

#include <cstdint>

namespace flowrun::kernels::FLOWRUN_ISA {
namespace {

struct Bf16 {
  uint16_t bits;
};

template <class To, class From>
inline To cast_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

inline float load(const float* x, int64_t i) { return x[i]; }
inline double load(const double* x, int64_t i) { return x[i]; }
inline float load(const Bf16* x, int64_t i) { return cast_bits<float>(static_cast<uint32_t>(x[i].bits) << 16); }

inline void store(float* x, int64_t i, float value) { x[i] = value; }
inline void store(double* x, int64_t i, double value) { x[i] = value; }
/// To nearest, ties to even; NaNs are preserved.
inline void store(Bf16* x, int64_t i, float value) {
  const auto bits = cast_bits<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  x[i].bits = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : rounded);
}

template <class T>
struct AccumulationOf {
  using type = float;
};
template <>
struct AccumulationOf<double> {
  using type = double;
};
template <class T>
using Accumulation = typename AccumulationOf<T>::type;

inline float root(float x) { return __builtin_sqrtf(x); }
inline double root(double x) { return __builtin_sqrt(x); }

/// From floats to integers, towards zero, and back; of vectors lane by lane.
template <class To, class From>
inline To converted(From x) {
  if constexpr (sizeof(From) == sizeof(float)) {
    return static_cast<To>(x);
  } else {
    return __builtin_convertvector(x, To);
  }
}

/// e^x for -87 <= x <= 0, to 2e-7 of it: a polynomial, and 2^k by the exponent's bits. F: float or a vector of floats; I: its integers.
template <class F, class I>
inline F exponential_of(F x) {
  const I k = converted<I>(x * 1.44269504f - 0.5f);  // towards zero: to nearest, as x <= 0
  const F r = x - converted<F>(k) * 0.693147181f;
  F e = r * 1.3888889e-3f + 8.3333333e-3f;
  e = e * r + 4.1666667e-2f;
  e = e * r + 1.6666667e-1f;
  e = e * r + 0.5f;
  e = e * r + 1.0f;
  e = e * r + 1.0f;
  return e * cast_bits<F>((k + 127) << 23);
}

/// The normal distribution's function and density. For u = |x| the function's tail is exp(-u^2 / 2) P(1 / (1 + 0.3 u)), P fitted to 6e-8 of it on
/// [0, 13.5]. No branch: it vectorises.
inline void normal(float x, float& distribution, float& density) {
  const float u = x < 0 ? -x : x;
  float y = -0.5f * u * u;
  y = y > -60.0f ? y : -60.0f;  // beyond, the tail stays at 1e-28: products with smaller numbers would be denormal, which is slow
  const float e = exponential_of<float, int32_t>(y);
  const float t = 1.0f / (1.0f + 0.3f * u);
  float p = 0.0383326150f;
  p = p * t - 0.168943927f;
  p = p * t + 0.228200704f;
  p = p * t - 0.0759805664f;
  p = p * t + 0.142171890f;
  p = p * t + 0.0948386043f;
  p = p * t + 0.121880613f;
  p = p * t + 0.119493268f;
  p = p * t + 6.84093220e-6f;
  const float tail = p * e;
  distribution = x > 0 ? 1.0f - tail : tail;
  density = 0.398942280f * e;
}

inline void normal(double x, double& distribution, double& density) {
  distribution = 0.5 * __builtin_erfc(-x * 0.70710678118654752440);
  density = 0.39894228040143267794 * __builtin_exp(-0.5 * x * x);
}

}  // namespace
}  // namespace flowrun::kernels::FLOWRUN_ISA
