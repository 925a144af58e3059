#pragma once

#include <cstdint>

#include "io/codec/image.h"

// Colour operations on H W 3 u8, in place, as Pillow 12 defines them, in every bit (ImageEnhance, HSV conversion):
// torchvision's ColorJitter on Pillow images is made of these.

namespace flowrun::io {

// Blends with black: 0 is black, 1 leaves the image as it is. FACTOR not negative, here and below.
void adjust_brightness(uint8_t* pixels, int64_t count, double factor);

// Blends with the mean of the gray image, rounded.
void adjust_contrast(uint8_t* pixels, int64_t count, double factor);

// Blends with the gray image.
void adjust_saturation(uint8_t* pixels, int64_t count, double factor);

// Turns the hue by SHIFT of a full turn, -0.5 to 0.5; steps of 1/255.
void adjust_hue(uint8_t* pixels, int64_t count, double shift);

// All three channels become the luma: RandomGrayscale on Pillow images.
void to_gray(uint8_t* pixels, int64_t count);

// Inverts values from THRESHOLD on, in each channel separately: Pillow's ImageOps.solarize.
void solarize(uint8_t* pixels, int64_t count, int threshold);

// Pillow's Image.blend of two values: from BASE towards VALUE, and beyond for factors over 1; clipped and truncated.
inline uint8_t blend(int base, int value, float factor) {
  const float mixed = static_cast<float>(base) + factor * static_cast<float>(value - base);
  return mixed <= 0.0f ? 0 : mixed >= 255.0f ? 255 : static_cast<uint8_t>(mixed);
}

// ITU-R 601-2 luma, as Pillow's "L".
inline uint8_t luma(const uint8_t* rgb) { return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16); }

}  // namespace flowrun::io
