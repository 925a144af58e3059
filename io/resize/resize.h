#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "io/codec/image.h"

namespace flowrun::io {

enum class Filter { bilinear, bicubic };

struct ResizeKernels;
// The fastest kernels that this processor runs: AVX-512 VNNI, AVX2, or null for the portable loops.
const ResizeKernels* best_resize_kernels();

// Resizes 8-bit images of 1 or 3 channels, equal to Pillow 12's Image.resize((width, height), filter) in every bit: the
// filter widens when shrinking (antialias), coefficients are rounded to 22 bits, the horizontal pass comes first
// (except on images over 100 times as tall as wide) and its result is rounded to 8 bits. Keeps coefficients and scratch
// between calls: one object per thread.
class Resizer {
 public:
  // Results don't depend on the kernels.
  explicit Resizer(const ResizeKernels* kernels = best_resize_kernels());
  ~Resizer();
  Resizer(Resizer&&) noexcept;
  Resizer& operator=(Resizer&&) noexcept;

  // OUT needs room for height x width x channels bytes and must not overlap SOURCE. FLIP mirrors the result left-right,
  // at no cost. Throws Error on an empty size or another number of channels.
  void resize(const ImageView& source, int height, int width, Filter filter, bool flip, uint8_t* out);

 private:
  // Sizes of crops recur in a run; a collision costs microseconds.
  struct Cache;

  void filter_rows(const ImageView& in, int width, Filter filter, bool flip, uint8_t* out);
  void filter_columns(const ImageView& in, int height, Filter filter, uint8_t* out);

  const ResizeKernels* kernels_;
  std::unique_ptr<Cache> cache_;
  std::vector<uint8_t> between_;  // the image after the first pass
  std::vector<uint8_t> tail_;     // last rows, with room behind them
};

}  // namespace flowrun::io
