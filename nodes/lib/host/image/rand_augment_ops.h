// The operations of RandAugment on H W 3 u8 pixels, as timm applies them with Pillow. No graph knowledge.
#pragma once

#include <array>
#include <string_view>

#include "io/codec/image.h"

namespace flowrun::image {

/// timm's set of operations that grow stronger with the magnitude ("inc1"), in its order.
enum class Operation {
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  solarize,
  solarize_add,
  color,
  contrast,
  brightness,
  sharpness,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
};
inline constexpr int kOperations = 15;

/// timm's name: "AutoContrast", "PosterizeIncreasing", …
std::string_view operation_name(Operation operation);

/// The operation's argument at a magnitude of 0 to 10: degrees, bits kept, threshold, added value, factor of blending,
/// shear, or shift as a share of the side. `negate` is the coin of operations with two directions; others ignore it.
double argument(Operation operation, double magnitude, bool negate);

using Colour = std::array<uint8_t, 3>;

/// `out` must be another buffer. Shears, shifts and rotations are resampled bicubically; pixels from outside are
/// `fill`.
void apply(Operation operation, double argument, const Colour& fill, const io::PixelBuffer& in, io::PixelBuffer& out);

}  // namespace flowrun::image
