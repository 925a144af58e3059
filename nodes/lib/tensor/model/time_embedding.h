// The time of the noise in a picture, as what adaptive norms take (DiT; UMD's code has the same).
#pragma once

#include <cstdint>

#include "nodes/lib/tensor/model/parameters.h"

namespace flowrun::model {

/// Sines, then cosines, of each time with half the width of frequencies, from 1 down to 1/10000 in a geometric row. time_B [B] of any type
/// -> [B, width] in `type`.
Tensor time_sinusoids(const Tensor& time_B, int64_t width, at::ScalarType type);

/// The parameters "time.fc1.*" and "time.fc2.*": silu(fc2(silu(fc1(sinusoids)))), twice the width between the layers. Holds indices only.
class TimeEmbedding {
 public:
  /// Throws std::invalid_argument unless the width is even and at least 4.
  TimeEmbedding(Parameters& parameters, int64_t width);

  /// The condition of each row, [rows, width]. time_B [B]: of each picture, 0 without noise; rows is a multiple of B, those of a picture side
  /// by side. Undefined: no picture has noise. Throws std::invalid_argument for another number of times.
  Tensor condition(const Parameters& parameters, const Tensor& time_B, int64_t rows) const;

 private:
  int64_t width_;
  size_t fc1_ = 0, fc2_ = 0;
};

}  // namespace flowrun::model
