#include "nodes/lib/host/image/near.h"

#include <algorithm>
#include <cmath>

namespace flowrun::image {
namespace {

/// The first pixel of a stretch of `length` pixels, moved along one axis of `all` pixels towards a stretch from `to` to `to_last`.
int pulled_along(int first, int length, int to, int to_last, int all) {
  const int last = first + length - 1, to_length = to_last - to;
  const int both = std::max(last, to_last) - std::min(first, to);
  const double least = 0.5 * std::min(to_length, length), centre = (first + last) / 2.0, to_centre = (to + to_last) / 2.0;
  double shift = std::max(0, both - length - to_length);
  if (both >= length + to_length - least) shift += least;
  if (to_centre < centre) shift = -shift;
  if (to_centre == centre) shift = 0;
  return std::clamp(first + static_cast<int>(std::lrint(shift)), 0, std::max(0, all - length));
}

}  // namespace

io::Rect pulled(io::Rect rect, const io::Rect& to, int width, int height) {
  rect.x = pulled_along(rect.x, rect.width, to.x, to.x + to.width - 1, width);
  rect.y = pulled_along(rect.y, rect.height, to.y, to.y + to.height - 1, height);
  return rect;
}

}  // namespace flowrun::image
