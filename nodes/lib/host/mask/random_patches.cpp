#include "nodes/lib/host/mask/random_patches.h"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace flowrun::mask {
namespace {

void check_counts(int64_t hidden, int64_t count, double ratio, const char* what) {
  if (hidden > 0 && hidden < count) return;
  throw std::runtime_error("a ratio of " + std::to_string(ratio) + " hides " + std::to_string(hidden) + " of " + std::to_string(count) + " " + what +
                           ": some must be hidden and some visible");
}

/// Marks `hidden` of the units of a row; a unit is `side` x `side` patches.
void hide_by_lot(int grid, int side, int64_t hidden, Rng rng, uint8_t* map) {
  const int units = grid / side;
  thread_local std::vector<int64_t> order;
  order.resize(static_cast<size_t>(units) * static_cast<size_t>(units));
  std::iota(order.begin(), order.end(), int64_t{0});
  draw_lots(order, hidden, rng);
  for (int64_t i = 0; i < hidden; ++i) {
    const auto top = static_cast<int>(order[static_cast<size_t>(i)]) / units * side,
               left = static_cast<int>(order[static_cast<size_t>(i)]) % units * side;
    for (int y = top; y < top + side; ++y) std::fill_n(map + y * grid + left, side, uint8_t{1});
  }
}

}  // namespace

void draw_random_patches(const RandomPatches& options, const Rng& group, int64_t images, Masks& out) {
  const int64_t patches = int64_t{options.grid} * options.grid;
  const int64_t hidden = patches - share_of(patches, 1 - options.ratio);
  check_counts(hidden, patches, options.ratio, "patches");
  const int64_t targets = options.kept > 0 ? std::max<int64_t>(1, share_of(patches, options.kept)) : hidden;
  start_maps(options.grid, images, 1, out);
  for (int64_t i = 0; i < images; ++i) hide_by_lot(options.grid, 1, hidden, row_rng(group, i), map_of_row(out, i));
  fill_lists(group, targets, false, out);
}

void draw_random_units(const RandomUnits& options, const Rng& group, int64_t images, Masks& out) {
  const int64_t side = options.grid / options.unit, units = side * side;
  const auto hidden = static_cast<int64_t>(std::ceil(static_cast<double>(units) * options.ratio - 1e-9));
  check_counts(hidden, units, options.ratio, "units");
  start_maps(options.grid, images, 1, out);
  for (int64_t i = 0; i < images; ++i) hide_by_lot(options.grid, options.unit, hidden, row_rng(group, i), map_of_row(out, i));
  fill_lists(group, units * options.unit * options.unit, false, out);
}

}  // namespace flowrun::mask
