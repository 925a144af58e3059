#include "io/codec/color.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace flowrun::io {
namespace {

uint8_t clip(int value) { return static_cast<uint8_t>(std::clamp(value, 0, 255)); }

using Pixel = std::array<uint8_t, 3>;

Pixel to_hsv(const uint8_t* rgb) {
  const uint8_t r = rgb[0], g = rgb[1], b = rgb[2];
  const uint8_t high = std::max({r, g, b}), low = std::min({r, g, b});
  if (high == low) return {0, 0, high};
  const auto range = static_cast<float>(high - low);
  const float saturation = range / static_cast<float>(high);
  const float rc = static_cast<float>(high - r) / range, gc = static_cast<float>(high - g) / range, bc = static_cast<float>(high - b) / range;
  // In double and back, as in the original: the last bit decides the level.
  const auto raw = static_cast<float>(r == high ? bc - gc : g == high ? 2.0 + rc - bc : 4.0 + gc - rc);
  const auto hue = static_cast<float>(std::fmod(raw / 6.0 + 1.0, 1.0));
  return {clip(static_cast<int>(hue * 255.0)), clip(static_cast<int>(saturation * 255.0)), high};
}

Pixel to_rgb(const Pixel& hsv) {
  const uint8_t v = hsv[2];
  if (hsv[1] == 0) return {v, v, v};
  const int sector = static_cast<int>(std::floor(static_cast<float>(hsv[0]) * 6.0 / 255.0));
  const auto f = static_cast<float>(static_cast<float>(hsv[0]) * 6.0 / 255.0 - static_cast<float>(sector));
  const auto saturation = static_cast<float>(static_cast<float>(hsv[1]) / 255.0);
  const uint8_t p = clip(static_cast<int>(std::round(static_cast<float>(v) * (1.0 - saturation))));
  const uint8_t q = clip(static_cast<int>(std::round(static_cast<float>(v) * (1.0 - saturation * f))));
  const uint8_t t = clip(static_cast<int>(std::round(static_cast<float>(v) * (1.0 - saturation * (1.0 - f)))));
  switch (sector % 6) {
    case 0:
      return {v, t, p};
    case 1:
      return {q, v, p};
    case 2:
      return {p, v, t};
    case 3:
      return {p, q, v};
    case 4:
      return {t, p, v};
    default:
      return {v, p, q};
  }
}

}  // namespace

void adjust_brightness(uint8_t* pixels, int64_t count, double factor) {
  for (int64_t i = 0; i < 3 * count; ++i) pixels[i] = blend(0, pixels[i], static_cast<float>(factor));
}

void adjust_contrast(uint8_t* pixels, int64_t count, double factor) {
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += luma(pixels + 3 * i);
  // Truncated after adding a half, in double, as in the original.
  const double rounded = std::floor(static_cast<double>(sum) / static_cast<double>(std::max<int64_t>(1, count)) + 0.5);
  const int mean = static_cast<int>(rounded);
  for (int64_t i = 0; i < 3 * count; ++i) pixels[i] = blend(mean, pixels[i], static_cast<float>(factor));
}

void adjust_saturation(uint8_t* pixels, int64_t count, double factor) {
  for (int64_t i = 0; i < count; ++i) {
    const int gray = luma(pixels + 3 * i);
    for (int64_t c = 0; c < 3; ++c) pixels[3 * i + c] = blend(gray, pixels[3 * i + c], static_cast<float>(factor));
  }
}

void to_gray(uint8_t* pixels, int64_t count) {
  for (int64_t i = 0; i < count; ++i) std::fill_n(pixels + 3 * i, 3, luma(pixels + 3 * i));
}

void solarize(uint8_t* pixels, int64_t count, int threshold) {
  for (int64_t i = 0; i < 3 * count; ++i) pixels[i] = static_cast<uint8_t>(pixels[i] < threshold ? pixels[i] : 255 - pixels[i]);
}

void adjust_hue(uint8_t* pixels, int64_t count, double shift) {
  const auto steps = static_cast<uint8_t>(static_cast<int32_t>(shift * 255));
  for (int64_t i = 0; i < count; ++i) {
    Pixel hsv = to_hsv(pixels + 3 * i);
    hsv[0] = static_cast<uint8_t>(hsv[0] + steps);
    const Pixel rgb = to_rgb(hsv);
    std::copy(rgb.begin(), rgb.end(), pixels + 3 * i);
  }
}

}  // namespace flowrun::io
