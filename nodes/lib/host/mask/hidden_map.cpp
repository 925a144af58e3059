#include "nodes/lib/host/mask/hidden_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace flowrun::mask {
namespace {

constexpr uint32_t visible_lots = draws_per_row / 2, target_lots = draws_per_row / 4 * 3;
constexpr int64_t most_rows = (int64_t{1} << 32) / draws_per_row - 1;

size_t patches_of(const Masks& masks) { return static_cast<size_t>(masks.grid) * static_cast<size_t>(masks.grid); }

/// Indices of the row's patches that are hidden, or are not; a random `count` of them, ascending.
void append_list(const uint8_t* map, size_t patches, bool hidden, int64_t count, Rng rng, std::vector<int64_t>& list) {
  thread_local std::vector<int64_t> items;
  items.clear();
  for (size_t p = 0; p < patches; ++p) {
    if ((map[p] != 0) == hidden) items.push_back(static_cast<int64_t>(p));
  }
  if (count < static_cast<int64_t>(items.size())) {
    draw_lots(items, count, rng);
    std::sort(items.begin(), items.begin() + count);
  }
  list.insert(list.end(), items.begin(), items.begin() + count);
}

}  // namespace

Rng row_rng(const Rng& group, int64_t row, uint32_t draw) {
  Rng own = group;
  own.seek(draws_per_row * static_cast<uint32_t>(row + 1) + draw);
  return own;
}

int64_t share_of(int64_t count, double share) { return static_cast<int64_t>(std::floor(static_cast<double>(count) * share + 1e-9)); }

void draw_lots(std::vector<int64_t>& items, int64_t count, Rng& rng) {
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    std::swap(items[i], items[i + rng.below(static_cast<uint32_t>(items.size() - i))]);
  }
}

std::vector<int64_t> spread_counts(int64_t patches, int64_t images, double low, double high, double masked_share, const Rng& group) {
  const int64_t masked = share_of(images, masked_share);
  std::vector<int64_t> order(static_cast<size_t>(images)), counts(static_cast<size_t>(images));
  std::iota(order.begin(), order.end(), int64_t{0});
  Rng rng = group;
  draw_lots(order, masked, rng);
  const double part = (high - low) / static_cast<double>(std::max<int64_t>(1, masked));
  for (int64_t i = 0; i < masked; ++i) {
    const int64_t image = order[static_cast<size_t>(i)];
    const double least = low + part * static_cast<double>(i);
    counts[static_cast<size_t>(image)] = share_of(patches, row_rng(group, image).uniform(least, least + part));
  }
  return counts;
}

void start_maps(int grid, int64_t images, int64_t repeats, Masks& out) {
  if (images * repeats > most_rows) {
    throw std::runtime_error(std::to_string(images * repeats) + " masks in a group are more than " + std::to_string(most_rows) +
                             ": make batch.stack's group smaller");
  }
  out.grid = grid, out.images = images, out.repeats = repeats, out.regions = 1;
  out.map.assign(static_cast<size_t>(out.rows()) * patches_of(out), 0);
}

uint8_t* map_of_row(Masks& masks, int64_t row) { return masks.map.data() + static_cast<size_t>(row) * patches_of(masks); }

void fill_lists(const Rng& group, int64_t most_targets, bool keep_map, Masks& out) {
  const size_t patches = patches_of(out);
  int64_t visible = static_cast<int64_t>(patches), hidden = most_targets;
  for (int64_t row = 0; row < out.rows(); ++row) {
    const uint8_t* map = map_of_row(out, row);
    const auto count = static_cast<int64_t>(patches) - std::count(map, map + patches, uint8_t{0});
    visible = std::min(visible, static_cast<int64_t>(patches) - count);
    hidden = std::min(hidden, count);
  }
  if (visible == 0) throw std::runtime_error("an image has no visible patch left: hide fewer");
  out.visible_count = visible, out.region_size = hidden;
  out.visible.clear(), out.targets.clear();
  for (int64_t row = 0; row < out.rows(); ++row) {
    const uint8_t* map = map_of_row(out, row);
    append_list(map, patches, false, visible, row_rng(group, row, visible_lots), out.visible);
    append_list(map, patches, true, hidden, row_rng(group, row, target_lots), out.targets);
  }
  if (!keep_map) out.map.clear();
}

}  // namespace flowrun::mask
