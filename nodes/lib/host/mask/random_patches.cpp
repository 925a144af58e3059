#include "nodes/lib/host/mask/random_patches.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace flowrun::mask {
namespace {

void check_counts(int64_t hidden, int64_t count, double ratio, const char* what) {
  if (hidden > 0 && hidden < count) return;
  throw std::runtime_error("a ratio of " + std::to_string(ratio) + " hides " + std::to_string(hidden) + " of " + std::to_string(count) + " " + what +
                           ": some must be hidden and some visible");
}

/// Square units of `side` x `side` patches.
struct Units {
  int grid, side;
  int64_t count() const { return int64_t{grid / side} * (grid / side); }

  void hide(int64_t unit, uint8_t* map) const {
    const int across = grid / side, top = static_cast<int>(unit) / across * side, left = static_cast<int>(unit) % across * side;
    for (int y = top; y < top + side; ++y) std::fill_n(map + y * grid + left, side, uint8_t{1});
  }
};

/// Hides `hidden` units of a row at random: those that no mask of the image has hidden yet, and only then others. `spent` says of
/// each unit whether one has.
void hide_at_random(const Units& units, int64_t hidden, Rng rng, std::vector<uint8_t>& spent, uint8_t* map) {
  thread_local std::vector<int64_t> fresh, others;
  fresh.clear(), others.clear();
  for (size_t unit = 0; unit < spent.size(); ++unit) (spent[unit] ? others : fresh).push_back(static_cast<int64_t>(unit));
  const int64_t first = std::min(hidden, static_cast<int64_t>(fresh.size()));
  draw_lots(fresh, first, rng), draw_lots(others, hidden - first, rng);
  fresh.resize(static_cast<size_t>(first));
  fresh.insert(fresh.end(), others.begin(), others.begin() + (hidden - first));
  for (const int64_t unit : fresh) units.hide(unit, map), spent[static_cast<size_t>(unit)] = 1;
}

void hide_all(const Units& units, int64_t hidden, int64_t repeats, const Rng& group, int64_t images, Masks& out) {
  start_maps(units.grid, images, repeats, out);
  std::vector<uint8_t> spent;
  for (int64_t row = 0; row < out.rows(); ++row) {
    if (row % repeats == 0) spent.assign(static_cast<size_t>(units.count()), 0);
    hide_at_random(units, hidden, row_rng(group, row), spent, map_of_row(out, row));
  }
}

}  // namespace

void draw_random_patches(const RandomPatches& options, const Rng& group, int64_t images, Masks& out) {
  const Units units{options.grid, 1};
  const int64_t patches = units.count(), hidden = patches - share_of(patches, 1 - options.ratio);
  check_counts(hidden, patches, options.ratio, "patches");
  const int64_t targets = options.kept > 0 ? std::max<int64_t>(1, share_of(patches, options.kept)) : hidden;
  hide_all(units, hidden, options.disjoint, group, images, out);
  fill_lists(group, targets, false, out);
}

void draw_random_units(const RandomUnits& options, const Rng& group, int64_t images, Masks& out) {
  const Units units{options.grid, options.unit};
  const auto hidden = static_cast<int64_t>(std::ceil(static_cast<double>(units.count()) * options.ratio - 1e-9));
  check_counts(hidden, units.count(), options.ratio, "units");
  hide_all(units, hidden, options.disjoint, group, images, out);
  fill_lists(group, units.count() * options.unit * options.unit, false, out);
}

double ratio_at(double first, double final, int64_t step, int64_t total_steps) {
  const double done = static_cast<double>(step - 1) / static_cast<double>(std::max<int64_t>(total_steps, 1));
  return first + (final - first) * std::clamp(done, 0.0, 1.0);
}

}  // namespace flowrun::mask
