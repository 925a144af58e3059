#include "nodes/lib/host/source/grid_file.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "io/error.h"
#include "io/run/safetensors.h"

namespace flowrun::source {
namespace {

/// Sign, five bits of exponent, ten of fraction (IEEE 754); clang 14 has no type for it here.
float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float sign = bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

float from_bfloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

void copy_numbers(const io::TensorEntry& features, std::vector<float>& out) {
  if (features.dtype == "F32") {
    std::memcpy(out.data(), features.data.data(), out.size() * sizeof(float));
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, features.data.data() + 2 * i, 2);
    out[i] = features.dtype == "F16" ? from_half(bits) : from_bfloat(bits);
  }
}

std::string shape_text(const io::TensorEntry& entry) {
  std::string text;
  for (const int64_t size : entry.shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return entry.dtype + " [" + text + "]";
}

bool fits(const std::vector<int64_t>& shape) {
  constexpr int64_t most = 1 << 20;
  for (const int64_t size : shape) {
    if (size < 1 || size > most) return false;
  }
  return true;
}

}  // namespace

void read_grid(const std::filesystem::path& path, FeatureGrid& out) {
  const io::SafetensorsFile file(path);
  const io::TensorEntry& features = file.at("features");
  const bool known = features.dtype == "F32" || features.dtype == "F16" || features.dtype == "BF16";
  if (!known || features.shape.size() != 3 || !fits(features.shape)) {
    throw io::Error(path.string() + ": features must be F32, F16 or BF16 [H, W, C], and are " + shape_text(features));
  }
  const int64_t height = features.shape[0], width = features.shape[1], channels = features.shape[2];
  out.reshape(static_cast<int>(height), static_cast<int>(width), static_cast<int>(channels));
  copy_numbers(features, out.values);
  out.valid.assign(out.valid.size(), 1);
  if (const io::TensorEntry* valid = file.find("valid")) {
    if ((valid->dtype != "BOOL" && valid->dtype != "U8") || valid->shape != std::vector<int64_t>{height, width}) {
      throw io::Error(path.string() + ": valid must be BOOL or U8 [" + std::to_string(height) + ", " + std::to_string(width) +
                      "], as features are, and is " + shape_text(*valid));
    }
    for (size_t i = 0; i < out.valid.size(); ++i) out.valid[i] = valid->data[i] != std::byte{0} ? 1 : 0;
  }
  for (int64_t cell = 0; cell < out.cells(); ++cell) {
    float* values = out.at(0, cell);
    const bool used = out.valid[static_cast<size_t>(cell)] != 0;
    for (int64_t c = 0; c < channels; ++c) {
      if (!used) values[c] = 0;
      if (!std::isfinite(values[c])) {
        throw io::Error(path.string() + ": features of the cell in row " + std::to_string(cell / width) + ", column " + std::to_string(cell % width) +
                        " are not finite");
      }
    }
  }
}

}  // namespace flowrun::source
