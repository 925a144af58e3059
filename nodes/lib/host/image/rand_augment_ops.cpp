#include "nodes/lib/host/image/rand_augment_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "io/codec/color.h"

namespace flowrun::image {
namespace {

using io::PixelBuffer;
using Table = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

constexpr int kChannels = 3;

uint8_t clip(double value) { return value <= 0 ? 0 : value >= 255 ? 255 : static_cast<uint8_t>(value); }

/// Each value of channel c becomes table(c)[value].
void look_up(const PixelBuffer& in, PixelBuffer& out, const std::array<Table, kChannels>& tables) {
  for (size_t i = 0; i < in.pixels.size(); ++i) out.pixels[i] = tables[i % kChannels][in.pixels[i]];
}

template <class F>
Table table(F value) {
  Table out;
  for (int i = 0; i < 256; ++i) out[static_cast<size_t>(i)] = static_cast<uint8_t>(std::clamp<int64_t>(value(i), 0, 255));
  return out;
}

template <class F>
void same_table(const PixelBuffer& in, PixelBuffer& out, F value) {
  const Table one = table(value);
  look_up(in, out, {one, one, one});
}

std::array<Histogram, kChannels> histograms(const PixelBuffer& in) {
  std::array<Histogram, kChannels> out{};
  for (size_t i = 0; i < in.pixels.size(); ++i) ++out[i % kChannels][in.pixels[i]];
  return out;
}

/// ImageOps.autocontrast: the darkest value of a channel to 0, the lightest to 255.
Table auto_contrast_table(const Histogram& count) {
  const auto used = [](int64_t n) { return n > 0; };
  const int low = static_cast<int>(std::find_if(count.begin(), count.end(), used) - count.begin());
  const int high = 255 - static_cast<int>(std::find_if(count.rbegin(), count.rend(), used) - count.rbegin());
  if (high <= low) return table([](int i) { return i; });
  const double scale = 255.0 / (high - low), offset = -low * scale;
  return table([&](int i) { return static_cast<int64_t>(i * scale + offset); });
}

/// ImageOps.equalize.
Table equalize_table(const Histogram& count) {
  int64_t all = 0, last = 0, used = 0;
  for (const int64_t n : count) {
    if (n > 0) all += n, last = n, ++used;
  }
  const int64_t step = (all - last) / 255;
  if (used <= 1 || step == 0) return table([](int i) { return i; });
  int64_t n = step / 2;
  return table([&](int i) {
    const int64_t value = n / step;
    n += count[static_cast<size_t>(i)];
    return value;
  });
}

/// The operation of io/codec/color.h, which works in place.
template <class F>
void adjust(F operation, const PixelBuffer& in, PixelBuffer& out, double factor) {
  std::copy(in.pixels.begin(), in.pixels.end(), out.pixels.begin());
  operation(out.pixels.data(), static_cast<int64_t>(in.pixels.size() / kChannels), factor);
}

/// ImageFilter.SMOOTH: a 3x3 mean whose middle weighs 5 of 13; the border is left as it is.
int smooth(const PixelBuffer& in, size_t i) {
  const auto row = static_cast<size_t>(in.width) * kChannels;
  const size_t y = i / row, x = i % row / kChannels;
  const uint8_t* p = &in.pixels[i];
  if (y == 0 || x == 0 || y + 1 == static_cast<size_t>(in.height) || x + 1 == static_cast<size_t>(in.width)) return *p;
  const auto at = [&](int dy, int dx) { return int{p[dy * static_cast<ptrdiff_t>(row) + dx * kChannels]}; };
  const int ring = at(-1, -1) + at(-1, 0) + at(-1, 1) + at(0, -1) + at(0, 1) + at(1, -1) + at(1, 0) + at(1, 1);
  return (2 * (ring + 5 * at(0, 0)) + 13) / 26;
}

/// Geometry.c of Pillow: the cubic through four values with a = -1.
double cubic(double v1, double v2, double v3, double v4, double d) {
  const double p2 = -v1 + v3, p3 = 2 * (v1 - v2) + v3 - v4, p4 = -v1 + v2 - v3 + v4;
  return v2 + d * (p2 + d * (p3 + d * p4));
}

/// One pixel at (x, y), which is inside the input. Rows and columns outside repeat the border.
void sample(const PixelBuffer& in, double x, double y, uint8_t* out) {
  const int column = static_cast<int>(std::floor(x - 0.5)), row = static_cast<int>(std::floor(y - 0.5));
  const double dx = x - 0.5 - column, dy = y - 0.5 - row;
  int place[4];
  const uint8_t* line[4];
  for (int k = 0; k < 4; ++k) {
    place[k] = std::clamp(column - 1 + k, 0, in.width - 1) * kChannels;
    line[k] = in.pixels.data() + static_cast<size_t>(std::clamp(row - 1 + k, 0, in.height - 1)) * static_cast<size_t>(in.width) * kChannels;
  }
  for (int c = 0; c < kChannels; ++c) {
    double rows[4];
    for (int k = 0; k < 4; ++k) {
      const uint8_t* from = line[k] + c;
      rows[k] = cubic(from[place[0]], from[place[1]], from[place[2]], from[place[3]], dx);
    }
    out[c] = clip(cubic(rows[0], rows[1], rows[2], rows[3], dy));
  }
}

/// Image.transform(AFFINE): a pixel of the output comes from (a x + b y + c, d x + e y + f) of the input.
void affine(const PixelBuffer& in, PixelBuffer& out, const std::array<double, 6>& m, const Colour& fill) {
  uint8_t* to = out.pixels.data();
  for (int row = 0; row < in.height; ++row) {
    for (int column = 0; column < in.width; ++column, to += kChannels) {
      const double x = column + 0.5, y = row + 0.5, from_x = m[0] * x + m[1] * y + m[2], from_y = m[3] * x + m[4] * y + m[5];
      if (from_x < 0 || from_x >= in.width || from_y < 0 || from_y >= in.height) {
        std::copy(fill.begin(), fill.end(), to);
      } else {
        sample(in, from_x, from_y, to);
      }
    }
  }
}

/// Image.rotate about the middle, counter-clockwise. Pillow takes angles from 0 to 360, and rounds sine and cosine to 15
/// digits.
void rotate(const PixelBuffer& in, PixelBuffer& out, double degrees, const Colour& fill) {
  if (degrees == 0) {
    out.pixels = in.pixels;
    return;
  }
  const auto rounded = [](double value) { return std::nearbyint(value * 1e15) / 1e15; };
  const double turned = degrees < 0 ? degrees + 360 : degrees;
  const double angle = -(turned * (std::numbers::pi / 180)), cosine = rounded(std::cos(angle)), sine = rounded(std::sin(angle));
  const double x = in.width / 2.0, y = in.height / 2.0;
  affine(in, out, {cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y}, fill);
}

}  // namespace

std::string_view operation_name(Operation operation) {
  static constexpr std::array<std::string_view, kOperations> names = {"AutoContrast",
                                                                      "Equalize",
                                                                      "Invert",
                                                                      "Rotate",
                                                                      "PosterizeIncreasing",
                                                                      "SolarizeIncreasing",
                                                                      "SolarizeAdd",
                                                                      "ColorIncreasing",
                                                                      "ContrastIncreasing",
                                                                      "BrightnessIncreasing",
                                                                      "SharpnessIncreasing",
                                                                      "ShearX",
                                                                      "ShearY",
                                                                      "TranslateXRel",
                                                                      "TranslateYRel"};
  return names[static_cast<size_t>(operation)];
}

double argument(Operation operation, double magnitude, bool negate) {
  const double share = magnitude / 10, sign = negate ? -1 : 1;
  switch (operation) {
    case Operation::rotate:
      return sign * share * 30;
    case Operation::posterize:
      return 4 - std::floor(share * 4);
    case Operation::solarize:
      return 256 - std::min(256.0, std::floor(share * 256));
    case Operation::solarize_add:
      return std::min(128.0, std::floor(share * 110));
    case Operation::color:
    case Operation::contrast:
    case Operation::brightness:
    case Operation::sharpness:
      return std::max(0.1, 1 + sign * (share * 0.9));
    case Operation::shear_x:
    case Operation::shear_y:
      return sign * share * 0.3;
    case Operation::translate_x:
    case Operation::translate_y:
      return sign * share * 0.45;
    default:
      return 0;
  }
}

void apply(Operation operation, double argument, const Colour& fill, const PixelBuffer& in, PixelBuffer& out) {
  out.reshape(in.height, in.width, in.channels);
  const int whole = static_cast<int>(argument);
  switch (operation) {
    case Operation::auto_contrast:
    case Operation::equalize: {
      const auto of = operation == Operation::equalize ? equalize_table : auto_contrast_table;
      const auto counts = histograms(in);
      return look_up(in, out, {of(counts[0]), of(counts[1]), of(counts[2])});
    }
    case Operation::invert:
      return same_table(in, out, [](int i) { return 255 - i; });
    case Operation::posterize:
      return same_table(in, out, [&](int i) { return i & ~((1 << (8 - whole)) - 1); });
    case Operation::solarize:
      return same_table(in, out, [&](int i) { return i < whole ? i : 255 - i; });
    case Operation::solarize_add:
      return same_table(in, out, [&](int i) { return i < 128 ? std::min(255, i + whole) : i; });
    case Operation::color:
      return adjust(io::adjust_saturation, in, out, argument);
    case Operation::contrast:
      return adjust(io::adjust_contrast, in, out, argument);
    case Operation::brightness:
      return adjust(io::adjust_brightness, in, out, argument);
    case Operation::sharpness:
      for (size_t i = 0; i < in.pixels.size(); ++i) out.pixels[i] = io::blend(smooth(in, i), in.pixels[i], static_cast<float>(argument));
      return;
    case Operation::rotate:
      return rotate(in, out, argument, fill);
    case Operation::shear_x:
      return affine(in, out, {1, argument, 0, 0, 1, 0}, fill);
    case Operation::shear_y:
      return affine(in, out, {1, 0, 0, argument, 1, 0}, fill);
    case Operation::translate_x:
      return affine(in, out, {1, 0, argument * in.width, 0, 1, 0}, fill);
    case Operation::translate_y:
      return affine(in, out, {1, 0, 0, 0, 1, argument * in.height}, fill);
  }
}

}  // namespace flowrun::image
