#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/codec/image.h"
#include "io/resize/resize.h"

// The inner loops of a resize, once per instruction set; all give the same bytes. For resize.cpp and its tests.

namespace flowrun::io {

// For each output position of a pass, its inputs and their weights.
struct ResizeTable {
  int input = 0;
  int output = 0;
  Filter filter = Filter::bilinear;
  int taps = 0;                       // per output; the unused ones are 0
  std::vector<int> first;             // the first input
  std::vector<int> count;             // of inputs
  std::vector<int32_t> coefficients;  // output x taps, in 1 / 2^22
  std::vector<double> weights;        // scratch, and below
  std::vector<int32_t> shifted;
  // The same for kernels: taps in fours, none of them outside the input. No fours: kernels can't be used.
  int fours = 0;
  std::vector<int> packed_first;
  std::vector<uint8_t> packed;  // output x fours, each in the kernel's own form
};

inline constexpr int resize_bits = 22;
inline constexpr int32_t resize_half = 1 << (resize_bits - 1);

// The horizontal pass on four rows of three channels; rows may be the same one.
struct RowsPass {
  const uint8_t* in[4];
  uint8_t* out[4];
  const int* first;
  const uint8_t* packed;
  int fours;
  int output;  // at least 4
  bool flip;
};

// One row of the vertical pass.
struct ColumnPass {
  const uint8_t* in;  // the first of its rows
  ptrdiff_t stride;
  const uint8_t* packed;
  int fours;
  int length;  // bytes of a row, at least 32
  uint8_t* out;
};

struct ResizeKernels {
  const char* name;
  int packed_bytes;  // of four taps
  void (*pack)(const int32_t* four, uint8_t* out);
  // Reads up to four bytes behind a row.
  void (*filter_rows)(const RowsPass& pass);
  void (*filter_column)(const ColumnPass& pass);
};

// The kernels that this processor runs, the fastest first. It may be empty: resize.cpp has loops for any machine.
std::span<const ResizeKernels* const> resize_kernels();

}  // namespace flowrun::io
