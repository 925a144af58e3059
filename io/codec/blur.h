#pragma once

#include <cstdint>
#include <vector>

#include "io/codec/image.h"

namespace flowrun::io {

// Gaussian blur of H W 3 u8, as torchvision 0.26 defines it (gaussian_blur): a square kernel of KERNEL_SIZE, borders
// reflected, float32, rounded to the nearest level, halves to even. It has two passes, so sums round in another order
// than torchvision's: 2 values in 100,000 differ, by one level. The same bytes on every machine. Keeps its buffers; one
// thread at a time.
class GaussianBlur {
 public:
  // In place. KERNEL_SIZE is odd, its half below the shorter side (reflection has no more pixels); SIGMA is positive, in
  // pixels.
  void blur(uint8_t* pixels, int height, int width, int kernel_size, double sigma);

 private:
  void set_kernel(int kernel_size, double sigma);

  std::vector<float> kernel_;  // from the middle outwards
  std::vector<const uint8_t*> rows_;
  std::vector<uint8_t> source_, line_;
  std::vector<float> padded_;
};

}  // namespace flowrun::io
