#include "nodes/lib/host/mask/visible_blocks.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace flowrun::mask {
namespace {

std::string grid_text(int grid) { return std::to_string(grid) + "x" + std::to_string(grid) + " patches"; }

/// Marks the patches in the squares as visible; then adds or removes random patches until `keep` are visible.
void show_squares(const SquareBlocks& options, int64_t centres, int64_t keep, Rng rng, uint8_t* map) {
  const int grid = options.grid, before = options.length / 2;
  const auto patches = static_cast<size_t>(grid) * static_cast<size_t>(grid);
  for (int64_t c = 0; c < centres; ++c) {
    const int centre = static_cast<int>(rng.below(static_cast<uint32_t>(patches)));
    for (int dy = 0; dy < options.length; ++dy) {
      for (int dx = 0; dx < options.length; ++dx) {
        // A square that crosses the edge is moved inside, as in data2vec's code.
        const int y = std::clamp(centre / grid + dy - before, 0, grid - 1), x = std::clamp(centre % grid + dx - before, 0, grid - 1);
        map[y * grid + x] = 0;
      }
    }
  }
  const int64_t shown = std::count(map, map + patches, uint8_t{0});
  const uint8_t wrong = shown > keep ? 0 : 1;
  thread_local std::vector<int64_t> candidates;
  candidates.clear();
  for (size_t p = 0; p < patches; ++p) {
    if (map[p] == wrong) candidates.push_back(static_cast<int64_t>(p));
  }
  const int64_t change = std::abs(shown - keep);
  draw_lots(candidates, change, rng);
  for (int64_t i = 0; i < change; ++i) map[candidates[static_cast<size_t>(i)]] = 1 - wrong;
}

/// One rectangle whose first `visible` patches by rows are shown.
void show_rectangle(const RolledBlock& options, int64_t visible, Rng rng, uint8_t* map) {
  const int grid = options.grid;
  const double v = static_cast<double>(visible), patches = static_cast<double>(grid) * grid;
  // So narrow that neither side is longer than the grid.
  const double widest = std::min(-std::log(options.aspect), std::log(patches / v));
  const double aspect = std::exp(rng.uniform(-widest, widest));
  const int height = std::min(grid, static_cast<int>(std::ceil(std::sqrt(v * aspect))));
  const int width = std::min(grid, static_cast<int>(std::ceil(std::sqrt(v / aspect))));
  if (int64_t{height} * width < visible) throw std::logic_error("a block smaller than its count");
  const int top = static_cast<int>(rng.below(static_cast<uint32_t>(grid - height + 1)));
  const int left = static_cast<int>(rng.below(static_cast<uint32_t>(grid - width + 1)));
  const int down = options.roll ? static_cast<int>(rng.below(static_cast<uint32_t>(grid))) : 0;
  const int right = options.roll ? static_cast<int>(rng.below(static_cast<uint32_t>(grid))) : 0;
  for (int64_t i = 0; i < visible; ++i) {
    const int y = (top + static_cast<int>(i) / width + down) % grid, x = (left + static_cast<int>(i) % width + right) % grid;
    map[y * grid + x] = 0;
  }
}

}  // namespace

void draw_square_blocks(const SquareBlocks& options, const Rng& group, int64_t images, Masks& out) {
  const int64_t patches = int64_t{options.grid} * options.grid, area = int64_t{options.length} * options.length;
  const int64_t keep = share_of(patches, options.keep);
  const int64_t centres = share_of(patches, (options.keep + options.adjust) / static_cast<double>(area));
  if (keep < 1 || keep >= patches || centres < 1) {
    throw std::runtime_error("keep = " + std::to_string(options.keep) + " of " + grid_text(options.grid) + " is " + std::to_string(keep) +
                             " patches in " + std::to_string(centres) + " squares of " + std::to_string(options.length) +
                             ": make length smaller, or change keep");
  }
  start_maps(options.grid, images, options.repeats, out);
  std::fill(out.map.begin(), out.map.end(), uint8_t{1});
  for (int64_t row = 0; row < out.rows(); ++row) show_squares(options, centres, keep, row_rng(group, row), map_of_row(out, row));
  fill_lists(group, patches, false, out);
}

namespace {

void draw_spread_blocks(const RolledBlock& options, int64_t patches, const Rng& group, int64_t images, Masks& out) {
  const std::vector<int64_t> counts = spread_counts(patches, images, options.spread_low, options.spread_high, options.masked_share, group);
  start_maps(options.grid, images, 1, out);
  for (int64_t i = 0; i < images; ++i) {
    const int64_t hidden = counts[static_cast<size_t>(i)];
    if (hidden == 0) continue;
    std::fill_n(map_of_row(out, i), patches, uint8_t{1});
    show_rectangle(options, patches - hidden, row_rng(group, i, spread_draws), map_of_row(out, i));
  }
  fill_lists(group, patches, true, out);
}

}  // namespace

void draw_rolled_block(const RolledBlock& options, const Rng& group, int64_t images, Masks& out) {
  const int64_t patches = int64_t{options.grid} * options.grid;
  if (options.spread_high > 0) return draw_spread_blocks(options, patches, group, images, out);
  Rng shared = group;
  shared.seek(0);
  const int64_t hidden = share_of(patches, shared.uniform(options.ratio_low, options.ratio_high));
  if (hidden < 1 || hidden >= patches) {
    throw std::runtime_error("ratio hides " + std::to_string(hidden) + " of " + grid_text(options.grid) + ": some must be hidden and some visible");
  }
  start_maps(options.grid, images, 1, out);
  std::fill(out.map.begin(), out.map.end(), uint8_t{1});
  for (int64_t i = 0; i < images; ++i) show_rectangle(options, patches - hidden, row_rng(group, i), map_of_row(out, i));
  fill_lists(group, std::max<int64_t>(1, share_of(hidden, options.predicted)), false, out);
}

}  // namespace flowrun::mask
