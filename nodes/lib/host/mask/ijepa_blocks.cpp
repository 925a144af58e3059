#include "nodes/lib/host/mask/ijepa_blocks.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "nodes/lib/host/mask/hidden_map.h"

namespace flowrun::mask {
namespace {

constexpr int tries_per_constraint = 20;

int side(double length, int grid) { return std::min(static_cast<int>(std::lrint(length)), grid - 1); }

struct Corner {
  int top, left;
};

/// Exclusive upper bounds, as torch.randint(0, grid - height) has them.
Corner place(int grid, int height, int width, Rng& rng) {
  const int top = static_cast<int>(rng.below(static_cast<uint32_t>(grid - height)));
  return {top, static_cast<int>(rng.below(static_cast<uint32_t>(grid - width)))};
}

void check_region(const IjepaBlocks& options, const IjepaSizes& sizes) {
  if (sizes.height * sizes.width > options.min_keep) return;
  throw std::runtime_error("a region of " + std::to_string(sizes.height) + "x" + std::to_string(sizes.width) +
                           " patches has no more than min_keep = " + std::to_string(options.min_keep) + ": make min_keep smaller, or size larger");
}

/// Indices of the context outside the regions, in row order. `regions` are the corners of the image's regions.
std::vector<int64_t> context_of(const IjepaBlocks& options, const IjepaSizes& sizes, const std::vector<Corner>& regions, Rng& rng) {
  std::vector<int64_t> visible;
  for (size_t constraints = regions.size();; --constraints) {
    for (int t = 0; t < tries_per_constraint; ++t) {
      const Corner corner = place(options.grid, sizes.context, sizes.context, rng);
      visible.clear();
      for (int y = corner.top; y < corner.top + sizes.context; ++y) {
        for (int x = corner.left; x < corner.left + sizes.context; ++x) {
          const auto covers = [&](const Corner& r) { return y >= r.top && y < r.top + sizes.height && x >= r.left && x < r.left + sizes.width; };
          if (std::none_of(regions.begin(), regions.begin() + static_cast<std::ptrdiff_t>(constraints), covers)) {
            visible.push_back(int64_t{y} * options.grid + x);
          }
        }
      }
      if (static_cast<int>(visible.size()) > options.min_keep) return visible;
    }
    if (constraints == 0) break;
  }
  throw std::runtime_error("a context of " + std::to_string(sizes.context) + "x" + std::to_string(sizes.context) +
                           " patches has no more than min_keep = " + std::to_string(options.min_keep) + ": make min_keep smaller");
}

}  // namespace

IjepaSizes draw_ijepa_sizes(const IjepaBlocks& options, Rng sizes) {
  const double patches = static_cast<double>(options.grid) * options.grid;
  const double r = sizes.uniform();
  const double area = std::floor(patches * (options.size_low + (options.size_high - options.size_low) * r));
  const double aspect = options.aspect_low + (options.aspect_high - options.aspect_low) * r;
  const double context = std::floor(patches * sizes.uniform(options.context_low, options.context_high));
  return {side(std::sqrt(area * aspect), options.grid), side(std::sqrt(area / aspect), options.grid), side(std::sqrt(context), options.grid)};
}

void draw_ijepa_blocks(const IjepaBlocks& options, const Rng& size_rng, const Rng& group, int64_t images, Masks& out) {
  const IjepaSizes sizes = draw_ijepa_sizes(options, size_rng);
  check_region(options, sizes);
  start_maps(options.grid, images, 1, out);  // for the limit on images; there is no map
  out.map.clear();
  out.regions = options.regions, out.region_size = int64_t{sizes.height} * sizes.width;
  out.targets.clear(), out.visible.clear();
  std::vector<std::vector<int64_t>> contexts;
  for (int64_t i = 0; i < images; ++i) {
    Rng rng = row_rng(group, i);
    std::vector<Corner> corners;
    for (int r = 0; r < options.regions; ++r) {
      const Corner corner = place(options.grid, sizes.height, sizes.width, rng);
      corners.push_back(corner);
      for (int y = corner.top; y < corner.top + sizes.height; ++y) {
        for (int x = corner.left; x < corner.left + sizes.width; ++x) out.targets.push_back(int64_t{y} * options.grid + x);
      }
    }
    contexts.push_back(context_of(options, sizes, corners, rng));
  }
  const auto shorter = [](const auto& a, const auto& b) { return a.size() < b.size(); };
  out.visible_count = contexts.empty() ? 0 : static_cast<int64_t>(std::min_element(contexts.begin(), contexts.end(), shorter)->size());
  for (const auto& context : contexts) out.visible.insert(out.visible.end(), context.begin(), context.begin() + out.visible_count);
}

}  // namespace flowrun::mask
