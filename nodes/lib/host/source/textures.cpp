#include "nodes/lib/host/source/textures.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace flowrun::textures {
namespace {

constexpr double tau = 2 * std::numbers::pi;

/// The random properties of one picture of a class. Lengths are in pixels of a picture of 24.
struct Look {
  double angle, phase_u, phase_v, centre_x, centre_y, stretch;
  uint32_t cells;  // seed of the blocks
};

double stripes(double x, double y, double angle, double period, double phase) {
  return std::sin(tau * (x * std::cos(angle) + y * std::sin(angle)) / period + phase);
}

/// -1 or 1 per cell.
double block(double x, double y, double cell, uint32_t seed) {
  const auto cx = static_cast<uint32_t>(std::floor(x / cell) + 64), cy = static_cast<uint32_t>(std::floor(y / cell) + 64);
  return philox4x32({cx, cy, 0, 0}, {seed, 0})[0] & 1 ? 1 : -1;
}

/// In [-1, 1].
double texture(int64_t label, double x, double y, const Look& look) {
  const double u = x * std::cos(look.angle) + y * std::sin(look.angle), v = y * std::cos(look.angle) - x * std::sin(look.angle);
  constexpr double quarter = std::numbers::pi / 4;
  switch (label) {
    case 0:
    case 1:
    case 2:
      return stripes(u, v, quarter * static_cast<double>(label), 4.5, look.phase_u);
    case 3:
    case 4:
    case 5:
      return stripes(u, v, quarter * static_cast<double>(label - 3), 8, look.phase_u);
    case 6:
      return std::sin(tau * u / 8 + look.phase_u) * std::sin(tau * v / 8 + look.phase_v) > 0 ? 1 : -1;
    case 7:
      return std::cos(tau * u / 6 + look.phase_u) + std::cos(tau * v / 6 + look.phase_v) > 0.8 ? 1 : -1;
    case 8:
      return std::sin(tau * std::hypot(x - look.centre_x, y - look.centre_y) / 6 + look.phase_u);
    case 9:
      return block(u + look.phase_u, v + look.phase_v, 4, look.cells);
    default:
      throw std::out_of_range("there are ten textures");
  }
}

}  // namespace

const char* class_name(int64_t label) {
  static constexpr const char* names[classes] = {"fine stripes",
                                                 "fine diagonal stripes",
                                                 "fine upright stripes",
                                                 "wide stripes",
                                                 "wide diagonal stripes",
                                                 "wide upright stripes",
                                                 "checks",
                                                 "dots",
                                                 "rings",
                                                 "blocks"};
  return names[label];
}

void draw(int64_t label, int size, Rng rng, std::vector<uint8_t>& out) {
  const Look look{.angle = rng.uniform(-0.3, 0.3),
                  .phase_u = rng.uniform(0, tau),
                  .phase_v = rng.uniform(0, tau),
                  .centre_x = rng.uniform(4, 20),
                  .centre_y = rng.uniform(4, 20),
                  .stretch = rng.uniform(0.85, 1.2),
                  .cells = rng.bits()};
  const double contrast = rng.uniform(30, 90) * (rng.chance(0.5) ? 1 : -1);
  const double brightness = rng.uniform(110, 146);
  const double scale = 24.0 / size;
  out.resize(static_cast<size_t>(size) * static_cast<size_t>(size));
  uint8_t* pixel = out.data();
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const double grain = (static_cast<double>(rng.bits() >> 8) / (1 << 24) - 0.5) * 20;
      const double value = brightness + contrast * texture(label, x * scale * look.stretch, y * scale * look.stretch, look) + grain;
      *pixel++ = static_cast<uint8_t>(std::clamp(std::lrint(value), 0L, 255L));
    }
  }
}

}  // namespace flowrun::textures
