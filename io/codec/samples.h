#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include "io/codec/image_format.h"

namespace flowrun::io {

// Converts samples of more than 8 bits to 8 bits, and remembers the smallest and largest.
class SampleScale {
 public:
  explicit SampleScale(const std::optional<SampleRange>& range) : range_(range) {}

  // COUNT samples of T, STEP of them from one to the next, at any address. Without a range they are u16, whose upper byte
  // is taken. With one its ends become 0 and 255, values outside are clipped, and NaN becomes 0.
  template <class T>
  void convert(const uint8_t* in, size_t count, size_t step, uint8_t* out, size_t out_step) {
    const double scale = range_ ? 255 / (range_->high - range_->low) : 0;
    for (size_t i = 0; i < count; ++i, in += step * sizeof(T), out += out_step) {
      T sample;
      std::memcpy(&sample, in, sizeof sample);
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(sample)) {
          *out = 0;
          continue;
        }
      }
      const auto value = static_cast<double>(sample);
      seen_.low = std::min(seen_.low, value), seen_.high = std::max(seen_.high, value);
      if (range_) {
        *out = static_cast<uint8_t>(std::lround(std::clamp((value - range_->low) * scale, 0.0, 255.0)));
      } else if constexpr (std::is_same_v<T, uint16_t>) {
        *out = static_cast<uint8_t>(sample >> 8);
      }
    }
  }

  // Nothing where no sample was a number.
  std::optional<SampleRange> seen() const { return seen_.low <= seen_.high ? std::optional(seen_) : std::nullopt; }

 private:
  std::optional<SampleRange> range_;
  SampleRange seen_{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
};

}  // namespace flowrun::io
