#include <algorithm>
#include <utility>

#include "graph/node.h"
#include "nodes/lib/host/types/grids.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct GridCrop {
  static constexpr NodeInfo info{
      .type = "grid.crop",
      .brief = "Random square parts of a feature grid, turned and mirrored at random.",
      .scope = Scope::sample,
      .details =
          "A part is drawn until the share of its cells that are valid is at least min_valid, at most tries times; then the one with most valid "
          "cells is taken. It is mirrored left-right and up-down with a chance each, then turned by 90, 180 or 270 degrees with another (MOOZY). "
          "What is drawn enters the ledger."};
  struct Ports {
    In<FeatureGrid> grid{"grid", "H W C."};
    Out<FeatureGrid> out{"grid", "size x size x C, or count such views."};
    void describe(auto& port) { port(grid, out); }
  };
  struct Params {
    int64_t size = 20, count = 1, tries = 3;
    double min_valid = 0.25, flip = 0.5, turn = 0.5;
    void describe(auto& param) {
      param("size", size, Range{1, 4096}, "Cells a side.");
      param("count", count, Range{1, 64}, "How many parts.");
      param("min_valid", min_valid, Range{0, 1}, "Least share of valid cells.");
      param("tries", tries, Range{1, 100}, "How often a part is drawn at most.");
      param("flip", flip, Range{0, 1}, "Chance of a mirror in each axis.");
      param("turn", turn, Range{0, 1}, "Chance of a turn.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.views = static_cast<double>(params.count);
    plan.out["grid"].side = static_cast<double>(params.size), plan.out["grid"].views = plan.views;
  }

  void run(Ports& port, const SampleContext& context) const {
    const FeatureGrid& in = *port.grid;
    const int size = static_cast<int>(params.size);
    if (in.views != 1) throw FatalNodeError("parts are drawn of a whole grid, but it comes in " + std::to_string(in.views) + " views");
    if (in.height < size || in.width < size) {
      throw NodeError("the grid has " + std::to_string(in.height) + "x" + std::to_string(in.width) + " cells, too few for parts of " +
                      std::to_string(size));
    }
    port.out->reshape(size, size, in.channels, static_cast<int>(params.count));
    for (int view = 0; view < params.count; ++view) {
      Rng rng = image::rng_of(context, view);
      const Place place = choose(in, rng);
      const Turn turn = {rng.chance(params.flip), rng.chance(params.flip), rng.chance(params.turn) ? 1 + static_cast<int>(rng.below(3)) : 0};
      copy(in, place, turn, view, *port.out);
      const int64_t drawn[] = {place.y, place.x, turn.across, turn.down, turn.quarters};
      image::add_to_ledger(context, view, hash_bytes(drawn, sizeof drawn));
    }
  }

 private:
  struct Place {
    int y, x;
  };
  struct Turn {
    bool across, down;
    int quarters;
  };

  Place choose(const FeatureGrid& in, Rng& rng) const {
    const int size = static_cast<int>(params.size);
    Place best{};
    int64_t most = -1;
    for (int64_t i = 0; i < params.tries; ++i) {
      const Place place = {static_cast<int>(rng.below(static_cast<uint32_t>(in.height - size + 1))),
                           static_cast<int>(rng.below(static_cast<uint32_t>(in.width - size + 1)))};
      const int64_t valid = valid_in(in, place);
      if (static_cast<double>(valid) >= params.min_valid * size * size) return place;
      if (valid > most) best = place, most = valid;
    }
    return best;
  }
  int64_t valid_in(const FeatureGrid& in, const Place& place) const {
    int64_t valid = 0;
    for (int y = 0; y < params.size; ++y) {
      const auto row = in.valid.begin() + (int64_t{place.y} + y) * in.width + place.x;
      valid += std::count(row, row + params.size, uint8_t{1});
    }
    return valid;
  }
  void copy(const FeatureGrid& in, const Place& place, const Turn& turn, int view, FeatureGrid& out) const {
    const int last = static_cast<int>(params.size) - 1;
    for (int y = 0; y <= last; ++y) {
      for (int x = 0; x <= last; ++x) {
        // The cell that comes to lie at y, x: turned back, then mirrored back.
        int from_y = y, from_x = x;
        for (int i = 0; i < turn.quarters; ++i) from_y = std::exchange(from_x, last - from_y);
        if (turn.across) from_x = last - from_x;
        if (turn.down) from_y = last - from_y;
        const int64_t from = (int64_t{place.y} + from_y) * in.width + place.x + from_x, to = int64_t{y} * params.size + x;
        std::copy_n(in.at(0, from), in.channels, out.at(view, to));
        out.valid[static_cast<size_t>(view * out.cells() + to)] = in.valid[static_cast<size_t>(from)];
      }
    }
  }
};

FLOWRUN_NODE(GridCrop);

}  // namespace
}  // namespace flowrun
