#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "io/image.h"

namespace flowrun::io {

enum class Filter { bilinear, bicubic };

// Resizes 8-bit images of 1 or 3 channels, equal to Pillow 12's Image.resize((width, height), filter) in every bit: the
// filter widens when shrinking (antialias), coefficients are rounded to 22 bits, the horizontal pass comes first
// (except on images over 100 times as tall as wide) and its result is rounded to 8 bits. Keeps coefficients and scratch
// between calls: one object per thread.
class Resizer {
 public:
  // OUT takes height x width x channels bytes and must not overlap SOURCE. FLIP mirrors the result left-right, for
  // free. Throws Error on an empty size or another number of channels.
  void resize(const ImageView& source, int height, int width, Filter filter, bool flip, uint8_t* out);

 private:
  // For each output position, which inputs it takes and how much of each.
  struct Table {
    int input = 0;
    int output = 0;
    Filter filter = Filter::bilinear;
    int taps = 0;                       // per output; the unused ones are 0
    std::vector<int> first;             // the first input
    std::vector<int> count;             // of inputs
    std::vector<int32_t> coefficients;  // output x taps, in 1 / 2^22
    std::vector<double> weights;        // scratch
  };
  // Sizes of crops recur in a run; a collision costs microseconds.
  using Cache = std::array<Table, 64>;

  static const Table& table(Cache& cache, int input, int output, Filter filter);
  static void fill(Table& table);
  static void filter_rows(const ImageView& in, const Table& columns, bool flip, uint8_t* out);
  static void filter_columns(const ImageView& in, const Table& rows, uint8_t* out);

  Cache horizontal_;
  Cache vertical_;
  std::vector<uint8_t> between_;  // the image after the first pass
};

}  // namespace flowrun::io
