#include "nodes/lib/host/mask/beit_blocks.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace flowrun::mask {
namespace {

constexpr int tries_per_block = 10, most_redraws = 20;
// Draws of a row that are its choice's.
constexpr uint32_t choice_draws = 64;

/// Adds a block of at most `budget` patches that are not hidden yet. Returns how many it hides; 0: ten tries failed.
int64_t add_block(const BeitBlocks& options, int64_t budget, Rng& rng, uint8_t* map) {
  const int grid = options.grid;
  const double log_aspect = std::log(options.aspect);
  for (int t = 0; t < tries_per_block; ++t) {
    // Near the end the bounds cross: the area then lies between them the other way round.
    const double area = rng.uniform(static_cast<double>(options.min_block), static_cast<double>(budget));
    const double aspect = std::exp(rng.uniform(log_aspect, -log_aspect));
    const int height = static_cast<int>(std::lrint(std::sqrt(area * aspect))), width = static_cast<int>(std::lrint(std::sqrt(area / aspect)));
    if (height >= grid || width >= grid) continue;
    const int top = static_cast<int>(rng.below(static_cast<uint32_t>(grid - height + 1)));
    const int left = static_cast<int>(rng.below(static_cast<uint32_t>(grid - width + 1)));
    int64_t fresh = 0;
    for (int y = top; y < top + height; ++y) fresh += std::count(map + y * grid + left, map + y * grid + left + width, uint8_t{0});
    if (fresh == 0 || fresh > budget) continue;
    for (int y = top; y < top + height; ++y) std::fill_n(map + y * grid + left, width, uint8_t{1});
    return fresh;
  }
  return 0;
}

void hide_rest(int64_t count, size_t patches, Rng& rng, uint8_t* map) {
  thread_local std::vector<int64_t> open;
  open.clear();
  for (size_t p = 0; p < patches; ++p) {
    if (!map[p]) open.push_back(static_cast<int64_t>(p));
  }
  draw_lots(open, count, rng);
  for (int64_t i = 0; i < count; ++i) map[open[static_cast<size_t>(i)]] = 1;
}

void hide_blocks(const BeitBlocks& options, int64_t count, Rng rng, uint8_t* map) {
  int64_t hidden = 0;
  // Ten tries can fail before anything is hidden, mostly on small grids: then ten more.
  for (int redraw = 0; hidden == 0 && redraw < most_redraws; ++redraw) {
    while (hidden < count) {
      const int64_t left = count - hidden;
      const int64_t fresh = add_block(options, options.max_block > 0 ? std::min(left, options.max_block) : left, rng, map);
      if (fresh == 0) break;
      hidden += fresh;
    }
  }
  if (hidden == 0 && !options.exact) {
    throw std::runtime_error("no block of at least " + std::to_string(options.min_block) + " patches fits where " + std::to_string(count) + " of a " +
                             std::to_string(options.grid) + "x" + std::to_string(options.grid) + " grid are to be hidden: make min_block smaller");
  }
  if (options.exact) hide_rest(count - hidden, static_cast<size_t>(options.grid) * static_cast<size_t>(options.grid), rng, map);
}

/// The number of patches to hide in each image, with a choice.
std::vector<int64_t> chosen_counts(const BeitBlocks& options, const Rng& group, int64_t images) {
  std::vector<int64_t> counts;
  for (int64_t i = 0; i < images; ++i) {
    Rng rng = row_rng(group, i);
    const BeitBlocks::Share& share = options.choice[rng.below(static_cast<uint32_t>(options.choice.size()))];
    counts.push_back(share_of(int64_t{options.grid} * options.grid, rng.uniform(share.ratio - share.spread, share.ratio + share.spread)));
  }
  return counts;
}

}  // namespace

void draw_beit_blocks(const BeitBlocks& options, const Rng& group, int64_t images, Masks& out) {
  std::vector<int64_t> counts(static_cast<size_t>(images), options.count);
  if (options.spread_high > 0)
    counts = spread_counts(int64_t{options.grid} * options.grid, images, options.spread_low, options.spread_high, options.masked_share, group);
  if (!options.choice.empty()) counts = chosen_counts(options, group, images);
  const uint32_t blocks = options.choice.empty() ? spread_draws : choice_draws;
  start_maps(options.grid, images, 1, out);
  for (int64_t i = 0; i < images; ++i) {
    if (const int64_t count = counts[static_cast<size_t>(i)]; count > 0) hide_blocks(options, count, row_rng(group, i, blocks), map_of_row(out, i));
  }
  fill_lists(group, int64_t{options.grid} * options.grid, options.varies() || !options.exact, out);
}

}  // namespace flowrun::mask
