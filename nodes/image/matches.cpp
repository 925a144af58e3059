#include "nodes/lib/host/types/matches.h"

#include "graph/node.h"
#include "nodes/lib/host/image/match_cells.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct ImageMatches {
  static constexpr NodeInfo info{
      .type = "image.matches",
      .brief = "Finds, for cells of one view, the matching positions in other views of the same picture, for dense losses.",
      .scope = Scope::sample,
      .details =
          "One cell is drawn of each window of cells, the same in all views; where windows don't fill the grid they lie in a random corner. Corner "
          "cells lie on the corners of a view's region. In the other view a place lies among four cells, with bilinear weights. Places outside the "
          "other view don't count (UDI: windows of 3 among the 14 x 14 cells of large crops, of 2 among the 6 x 6 of small ones). Without to the "
          "views of a picture are matched with each other. tokens.matched takes the tokens of these cells. The drawn cells enter the ledger."};
  struct Ports {
    In<Region> from{"from", "The regions of the views whose cells are drawn."};
    In<Mirrored> from_mirrored{"from_mirrored", "From image.random_flip behind them."};
    In<Region> to{"to", "The regions of the other views.", optional};
    In<Mirrored> to_mirrored{"to_mirrored", "From image.random_flip behind them.", optional};
    Out<Matches> matches{"matches", "Of each pair of views the cells."};
    void describe(auto& port) { port(from, from_mirrored, to, to_mirrored, matches); }
  };
  struct Params {
    image::CellOptions cells;
    void describe(auto& param) {
      param("from_grid", cells.from_grid, Range{1, 1024}, "Cells a side of the first views: side over patch.");
      param("to_grid", cells.to_grid, Range{1, 1024}, "Cells a side of the others.");
      param("window", cells.window, Range{1, 1024}, "Cells a side of a window; at most from_grid.");
    }
    std::optional<ParamFault> check() const {
      if (cells.window > cells.from_grid) return ParamFault{"window", "a window can't be larger than the grid of from_grid cells"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    if (plan.in.contains("to") != plan.in.contains("to_mirrored")) {
      plan.fault("to", "to and to_mirrored belong together", "connect both, or none");
    }
    const double views = plan.known("from").views;
    if (!plan.in.contains("to") && views == 1) {
      plan.fault("from", "the views of a picture are matched with each other, and 1 comes in", "set count of image.random_crop to 2, or connect to");
    }
  }

  void run(Ports& port, const SampleContext& context) const {
    const image::PlacedViews from = placed(*port.from, *port.from_mirrored);
    image::CellOptions options = params.cells;
    options.others = !port.to;
    *port.matches = image::match_cells(from, port.to ? placed(*port.to, *port.to_mirrored) : from, options, context.rng());
    context.ledger.add(hash_bytes(port.matches->from.data(), port.matches->from.size() * sizeof(int64_t)));
  }

 private:
  static image::PlacedViews placed(const Region& region, const Mirrored& mirrored) {
    image::PlacedViews out{.rects = region.views, .mirrored = mirrored.views};
    if (out.rects.empty()) out.rects.push_back(region.rect);
    if (out.rects.size() != out.mirrored.size()) {
      throw FatalNodeError("there are " + std::to_string(out.rects.size()) + " regions of a picture, but " + std::to_string(out.mirrored.size()) +
                           " views may be mirrored: connect the image.random_flip behind the crops of these regions");
    }
    return out;
  }
};

FLOWRUN_NODE(ImageMatches);

}  // namespace
}  // namespace flowrun
