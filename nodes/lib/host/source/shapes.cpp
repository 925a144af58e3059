#include "nodes/lib/host/source/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

namespace flowrun::shapes {
namespace {

/// Of each class, in degrees.
constexpr double hues[classes] = {0, 30, 60, 110, 160, 200, 230, 270, 310, 340};
constexpr double tau = 2 * std::numbers::pi;

struct Point {
  double u, v;
};

bool in_box(Point p, double left, double right, double top, double bottom) { return p.u >= left && p.u <= right && p.v >= top && p.v <= bottom; }

/// A triangle that stands on its base.
bool in_triangle(Point p, double apex_u, double apex_v, double half_width, double height) {
  const double down = (p.v - apex_v) / height;
  return down >= 0 && down <= 1 && std::abs(p.u - apex_u) <= half_width * down;
}

bool in_disc(Point p, double u, double v, double radius) { return std::hypot(p.u - u, p.v - v) <= radius; }

bool in_ring(Point p, double u, double v, double inner, double outer) { return in_disc(p, u, v, outer) && !in_disc(p, u, v, inner); }

bool in_house(Point p) {
  const bool wall = in_box(p, -.65, .65, -.2, .8) && !in_box(p, -.2, .2, .25, .8);
  return wall || in_triangle(p, 0, -.9, .9, .7);
}

bool in_fir(Point p) { return in_triangle(p, 0, -.9, .6, .7) || in_triangle(p, 0, -.5, .8, .8) || in_box(p, -.15, .15, .3, .9); }

bool in_face(Point p) {
  const bool hole = in_disc(p, -.35, -.25, .17) || in_disc(p, .35, -.25, .17) || in_box(p, -.45, .45, .3, .5);
  return in_disc(p, 0, 0, .85) && !hole;
}

bool in_key(Point p) { return in_ring(p, 0, -.35, .22, .5) || in_box(p, -.12, .12, .1, .9) || in_box(p, .1, .45, .6, .8); }

bool in_moon(Point p) { return (in_disc(p, -.05, -.1, .75) && !in_disc(p, .3, -.25, .65)) || in_box(p, -.6, .6, .75, .9); }

struct Colour {
  std::array<double, 3> rgb;
};

double brightness_of(const Colour& c) { return 0.299 * c.rgb[0] + 0.587 * c.rgb[1] + 0.114 * c.rgb[2]; }

/// The colour of that hue (degrees) and saturation with that brightness; less saturated where a channel would leave [0, 1].
Colour colour(double hue, double saturation, double brightness) {
  Colour out{};
  for (size_t channel = 0; channel < 3; ++channel) {
    const double at = std::fmod(hue / 60 + (channel == 0 ? 5 : channel == 1 ? 3 : 1), 6);  // from HSV, with the value 1
    out.rgb[channel] = 1 - saturation * std::clamp(std::min(at, 4 - at), 0.0, 1.0);
  }
  const double scale = brightness / brightness_of(out);
  double most = 0;
  for (double& value : out.rgb) most = std::max(most, value *= scale);
  const double kept = most > 1 ? (1 - brightness) / (most - brightness) : 1;
  for (double& value : out.rgb) value = brightness + kept * (value - brightness);
  return out;
}

/// Where and how the object stands in the picture. Lengths are shares of the picture's side.
struct Pose {
  double centre_x, centre_y, scale, cosine, sine, stretch;

  Point object(double x, double y) const {
    const double dx = (x - centre_x) / scale, dy = (y - centre_y) / scale;
    return {(dx * cosine + dy * sine) / stretch, (dy * cosine - dx * sine) * stretch};
  }
};

Pose pose(Rng& rng) {
  Pose out{};
  out.scale = rng.uniform(0.34, 0.44);
  out.centre_x = rng.uniform(0.43, 0.57), out.centre_y = rng.uniform(0.43, 0.57);
  const double angle = rng.uniform(-0.25, 0.25);
  out.cosine = std::cos(angle), out.sine = std::sin(angle);
  out.stretch = std::exp(rng.uniform(-0.22, 0.22));
  return out;
}

/// The share of a pixel that the object covers, from 3 x 3 points.
double coverage(int64_t label, const Pose& pose, int x, int y, int size) {
  constexpr int points = 3;
  int inside = 0;
  for (int i = 0; i < points; ++i) {
    for (int j = 0; j < points; ++j) {
      const Point p = pose.object((x + (j + 0.5) / points) / size, (y + (i + 0.5) / points) / size);
      inside += covers(label, p.u, p.v) ? 1 : 0;
    }
  }
  return static_cast<double>(inside) / (points * points);
}

}  // namespace

const char* class_name(int64_t label) {
  static constexpr const char* names[classes] = {"T", "L", "arrow", "house", "mug", "fir", "flag", "face", "key", "moon"};
  return names[label];
}

bool covers(int64_t label, double u, double v) {
  const Point p{u, v};
  switch (label) {
    case 0:
      return in_box(p, -.8, .8, -.8, -.4) || in_box(p, -.2, .2, -.8, .8);
    case 1:
      return in_box(p, -.6, -.2, -.8, .8) || in_box(p, -.6, .7, .4, .8);
    case 2:
      return in_triangle(p, 0, -.9, .75, .9) || in_box(p, -.22, .22, 0, .85);
    case 3:
      return in_house(p);
    case 4:
      return in_box(p, -.7, .3, -.6, .7) || (u > .3 && in_ring(p, .4, .05, .22, .45));
    case 5:
      return in_fir(p);
    case 6:
      return in_box(p, -.75, -.5, -.9, .9) || in_box(p, -.5, .8, -.9, -.1);
    case 7:
      return in_face(p);
    case 8:
      return in_key(p);
    case 9:
      return in_moon(p);
    default:
      throw std::out_of_range("there are ten shapes");
  }
}

double draw(int64_t label, int size, Rng rng, std::vector<uint8_t>& out, double own_hue, io::PixelBuffer* map) {
  const Pose stands = pose(rng);
  const double ground_brightness = rng.uniform(0.25, 0.75);
  const double wave_angle = rng.uniform(0, tau), wave_periods = rng.uniform(2, 7), wave_phase = rng.uniform(0, tau);
  const double ground_hue = rng.uniform(0, 360);
  const double difference = rng.uniform(0.25, 0.42) * (rng.chance(0.5) ? 1 : -1);
  const double object_brightness = std::clamp(ground_brightness + difference, 0.08, 0.98);
  const double class_hue = hues[label] + rng.uniform(-12, 12), any_hue = rng.uniform(0, 360);
  const double object_hue = rng.chance(own_hue) ? std::fmod(class_hue + 360, 360) : any_hue;
  const Colour object = colour(object_hue, rng.uniform(0.6, 0.9), object_brightness);
  const double kx = tau * wave_periods * std::cos(wave_angle), ky = tau * wave_periods * std::sin(wave_angle);
  out.resize(static_cast<size_t>(size) * static_cast<size_t>(size) * 3);
  uint8_t* pixel = out.data();
  if (map != nullptr) map->reshape(size, size, 1);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const double wave = 0.05 * std::sin((kx * (x + 0.5) + ky * (y + 0.5)) / size + wave_phase);
      const Colour ground = colour(ground_hue, 0.15, ground_brightness + wave);
      const double share = coverage(label, stands, x, y, size), grain = 0.03 * rng.normal();
      if (map != nullptr) map->at(0)[y * size + x] = share > 0.5 ? static_cast<uint8_t>(label) : background;
      for (size_t channel = 0; channel < 3; ++channel) {
        const double value = share * object.rgb[channel] + (1 - share) * ground.rgb[channel] + grain;
        *pixel++ = static_cast<uint8_t>(std::clamp(std::lrint(255 * value), 0L, 255L));
      }
    }
  }
  return object_hue;
}

std::string caption(int64_t label, double hue) {
  static constexpr const char* names[classes] = {"a red",    "an orange", "a yellow", "a green",   "a turquoise",
                                                 "an azure", "a blue",    "a purple", "a magenta", "a pink"};
  size_t nearest = 0;
  double least = 360;
  for (size_t i = 0; i < std::size(hues); ++i) {
    const double apart = std::abs(std::remainder(hue - hues[i], 360));
    if (apart < least) least = apart, nearest = i;
  }
  return std::string(names[nearest]) + " " + class_name(label);
}

}  // namespace flowrun::shapes
