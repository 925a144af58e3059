#pragma once

#include <algorithm>
#include <cstring>

#include "io/resize_kernels.h"

// What the kernels for x86-64 share.

namespace flowrun::io {

extern const ResizeKernels resize_avx2;
extern const ResizeKernels resize_avx512;

inline int load_int(const uint8_t* from) {
  int value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// Loops over few taps are unrolled: PASS_FOURS<0> takes any number.
inline constexpr int most_unrolled = 5;

}  // namespace flowrun::io
