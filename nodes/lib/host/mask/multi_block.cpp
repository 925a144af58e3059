#include "nodes/lib/host/mask/multi_block.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace flowrun::mask {
namespace {

constexpr uint32_t draws_per_image = 64, corner_draw = 48;
constexpr int max_redraws = 20;
// Redraws lie behind the places of 2^20 images.
constexpr uint32_t redraw_stride = draws_per_image << 20;

int side(double length, int grid) { return std::clamp(static_cast<int>(std::lrint(length)), 1, grid); }

/// One image: its regions into `targets` [R, M], and the map of what is visible.
class Image {
 public:
  Image(const MultiBlock& options, const BlockSizes& sizes, std::vector<uint8_t>& map) : options_(options), sizes_(sizes), map_(map) {}

  /// Returns how many patches are visible.
  int64_t place(Rng rng, int64_t* targets) {
    const int grid = options_.grid;
    covered_.assign(map_.size(), 0);
    for (int r = 0; r < options_.regions; ++r) {
      const bool swapped = options_.alternate && r % 2 == 1;
      const int height = swapped ? sizes_.width : sizes_.height, width = swapped ? sizes_.height : sizes_.width;
      const int top = static_cast<int>(rng.below(static_cast<uint32_t>(grid - height + 1)));
      const int left = static_cast<int>(rng.below(static_cast<uint32_t>(grid - width + 1)));
      for (int y = top; y < top + height; ++y) {
        for (int x = left; x < left + width; ++x) {
          const int patch = y * grid + x;
          *targets++ = patch;
          covered_[static_cast<size_t>(patch)] = 1;
        }
      }
    }
    const int top = static_cast<int>(rng.below(static_cast<uint32_t>(grid - sizes_.background + 1)));
    const int left = static_cast<int>(rng.below(static_cast<uint32_t>(grid - sizes_.background + 1)));
    int64_t count = 0;
    std::fill(map_.begin(), map_.end(), uint8_t{0});
    for (int y = top; y < top + sizes_.background; ++y) {
      for (int x = left; x < left + sizes_.background; ++x) {
        const int patch = y * grid + x;
        const auto i = static_cast<size_t>(patch);
        map_[i] = !covered_[i];
        count += map_[i];
      }
    }
    return count;
  }

  /// Removes the first `surplus` visible patches that a scan from a random corner meets, by rows or by columns.
  void truncate(Rng rng, int64_t surplus) {
    const uint32_t corner = rng.below(4);
    const bool by_columns = rng.below(2) == 1;
    const int grid = options_.grid;
    for (int i = 0; i < grid * grid && surplus > 0; ++i) {
      int y = by_columns ? i % grid : i / grid, x = by_columns ? i / grid : i % grid;
      if (corner & 1) y = grid - 1 - y;
      if (corner & 2) x = grid - 1 - x;
      const int patch = y * grid + x;
      uint8_t& seen = map_[static_cast<size_t>(patch)];
      surplus -= seen;
      seen = 0;
    }
  }

 private:
  const MultiBlock& options_;
  const BlockSizes& sizes_;
  std::vector<uint8_t>& map_;
  std::vector<uint8_t> covered_;
};

}  // namespace

BlockSizes draw_sizes(const MultiBlock& options, Rng rng) {
  const double patches = static_cast<double>(options.grid) * options.grid;
  const double area = std::floor(patches * rng.uniform(options.size_low, options.size_high));
  const double aspect = options.log_aspect ? std::exp(rng.uniform(std::log(options.aspect_low), std::log(options.aspect_high)))
                                           : rng.uniform(options.aspect_low, options.aspect_high);
  const double background = rng.uniform(options.background_low, options.background_high);
  return {side(std::sqrt(area * aspect), options.grid), side(std::sqrt(area / aspect), options.grid),
          side(std::sqrt(patches * background), options.grid)};
}

void draw_masks(const MultiBlock& options, const Rng& rng, int64_t images, BlockMasks& out) {
  out.sizes = draw_sizes(options, rng);
  out.region_size = static_cast<int64_t>(out.sizes.height) * out.sizes.width;
  const int64_t targets_per_image = options.regions * out.region_size;
  out.targets.resize(static_cast<size_t>(images * targets_per_image));
  const auto patches = static_cast<size_t>(options.grid) * static_cast<size_t>(options.grid);
  std::vector<std::vector<uint8_t>> maps(static_cast<size_t>(images), std::vector<uint8_t>(patches));
  std::vector<int64_t> counts(static_cast<size_t>(images));
  const auto place_of = [&](int64_t i, int redraw) {
    Rng own = rng;
    own.seek(draws_per_image * static_cast<uint32_t>(i + 1) + redraw_stride * static_cast<uint32_t>(redraw));
    return own;
  };
  for (int64_t i = 0; i < images; ++i) {
    Image image(options, out.sizes, maps[static_cast<size_t>(i)]);
    int64_t& count = counts[static_cast<size_t>(i)];
    for (int redraw = 0; redraw == 0 || (count < options.min_keep && redraw <= max_redraws); ++redraw) {
      count = image.place(place_of(i, redraw), out.targets.data() + i * targets_per_image);
    }
    if (count < options.min_keep) {
      throw std::runtime_error("after " + std::to_string(max_redraws) + " draws an image still has " + std::to_string(count) +
                               " visible patches, fewer than min_keep = " + std::to_string(options.min_keep) + ": make size or regions smaller");
    }
  }
  out.visible_count = images == 0 ? 0 : *std::min_element(counts.begin(), counts.end());
  out.visible.clear();
  for (int64_t i = 0; i < images; ++i) {
    auto& map = maps[static_cast<size_t>(i)];
    Rng corner = place_of(i, 0);
    corner.seek(draws_per_image * static_cast<uint32_t>(i + 1) + corner_draw);
    Image(options, out.sizes, map).truncate(corner, counts[static_cast<size_t>(i)] - out.visible_count);
    for (size_t p = 0; p < patches; ++p) {
      if (map[p]) out.visible.push_back(static_cast<int64_t>(p));
    }
  }
}

void draw_multi_block(const MultiBlock& options, const Rng& rng, int64_t images, Masks& out) {
  thread_local BlockMasks drawn;  // its memory and that of `out` change places
  draw_masks(options, rng, images, drawn);
  out.grid = options.grid, out.images = images, out.repeats = 1;
  out.visible_count = drawn.visible_count, out.regions = options.regions, out.region_size = drawn.region_size;
  out.visible.swap(drawn.visible);
  out.targets.swap(drawn.targets);
  out.map.clear();
}

}  // namespace flowrun::mask
