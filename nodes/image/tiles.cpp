#include <algorithm>
#include <array>

#include "graph/node.h"
#include "nodes/lib/host/image/permutations.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct Tiles {
  static constexpr NodeInfo info{
      .type = "image.tiles",
      .brief = "A picture cut into tiles in one of some known orders, with the number of the order as its class: jigsaw puzzles.",
      .scope = Scope::sample,
      .details =
          "The picture is a grid of cells. One square at a random place of each cell is a tile, so that edges don't tell which tiles are neighbours "
          "(Noroozi and Favaro, 2016). Views are the tiles in the order that was drawn: view i is tile order[i], counted row by row. The orders are "
          "the same in every run and for every seed: the first is drawn once and for all, and each next one is the order whose smallest Hamming "
          "distance to those before is largest; of several the one with the smallest sum of distances, then the first in lexicographic order. "
          "Candidates are all orders of up to 9 tiles, and 20,000 drawn ones of 16. Of 100 orders of 9 tiles any two differ in 7 places at least. "
          "Order and places enter the ledger. So that colours and brightness are no clue, set per_image of device.upload."};
  struct Ports {
    In<Image> image{"image", "H H 3 u8, one view; H = grid x cell."};
    Out<Image> out{"image", "grid x grid views, tile tile 3 u8."};
    Out<Label> label{"label", "The number of the order, of all views."};
    void describe(auto& port) { port(image, out, label); }
  };
  struct Params {
    int64_t grid = 3, cell = 75, tile = 64, permutations = 100;
    void describe(auto& param) {
      param("grid", grid, Range{2, 4}, "Cells of a side.");
      param("cell", cell, Range{1, 4096}, "Side of a cell in pixels.");
      param("tile", tile, Range{1, 4096}, "Side of a tile in pixels; the rest of the cell is the gap.");
      param("permutations", permutations, Range{2, 1000}, "How many orders there are: the classes.");
    }
    int tiles() const { return static_cast<int>(grid * grid); }
    std::optional<ParamFault> check() const {
      if (tile > cell) return ParamFault{"tile", "a tile of " + std::to_string(tile) + " pixels doesn't fit into a cell of " + std::to_string(cell)};
      const int64_t all = image::count_orders(tiles(), permutations);
      if (permutations <= all) return {};
      return ParamFault{"permutations", std::to_string(tiles()) + " tiles have only " + std::to_string(all) + " orders"};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    image::plan_one_view(plan, "a picture is cut into tiles");
    const double side = plan.known("image").side, asked = static_cast<double>(params.grid * params.cell);
    if (side > 0 && side != asked) plan.fault("image", "pictures of " + count_text(side) + " pixels come in, but " + fits(), cure());
    plan.views = params.tiles(), plan.side = static_cast<double>(params.tile);
  }

  void open(const OpenContext&) { orders_ = image::distant_orders(params.tiles(), static_cast<int>(params.permutations)); }

  void run(Ports& port, const SampleContext& context) const {
    const io::PixelBuffer& in = port.image->pixels;
    image::require_one_view(in.views, "a puzzle");
    if (in.height != in.width || in.height != params.grid * params.cell) {
      throw NodeError("the picture is " + std::to_string(in.width) + "x" + std::to_string(in.height) + ", but " + fits() + "; " + cure());
    }
    const int tiles = params.tiles(), tile = static_cast<int>(params.tile), room = static_cast<int>(params.cell) - tile;
    port.out->pixels.reshape(tile, tile, in.channels, tiles);
    port.out->covers = port.image->covers;
    Rng rng = context.rng();
    const auto number = rng.below(static_cast<uint32_t>(params.permutations));
    port.label->value = number;
    port.label->views.clear();
    uint64_t drawn = number;
    for (int view = 0; view < tiles; ++view) {
      const int from = orders_[number][static_cast<size_t>(view)], grid = static_cast<int>(params.grid), cell = static_cast<int>(params.cell);
      const int y = from / grid * cell + static_cast<int>(rng.below(static_cast<uint32_t>(room + 1)));
      const int x = from % grid * cell + static_cast<int>(rng.below(static_cast<uint32_t>(room + 1)));
      copy_tile(in, y, x, port.out->pixels, view);
      const std::array<int, 2> place = {y, x};
      drawn = hash_bytes(place.data(), sizeof place, drawn);
    }
    context.ledger.add(drawn);
  }

 private:
  std::string fits() const {
    return std::to_string(params.grid) + " x " + std::to_string(params.grid) + " cells of " + std::to_string(params.cell) +
           " pixels make squares of " + std::to_string(params.grid * params.cell);
  }
  std::string cure() const {
    return "put an image.resize or image.center_crop with size " + std::to_string(params.grid * params.cell) + " before it";
  }

  static void copy_tile(const io::PixelBuffer& in, int top, int left, io::PixelBuffer& out, int view) {
    const auto channels = static_cast<size_t>(in.channels), row = static_cast<size_t>(out.width) * channels;
    for (int y = 0; y < out.height; ++y) {
      const size_t at = (static_cast<size_t>(top + y) * static_cast<size_t>(in.width) + static_cast<size_t>(left)) * channels;
      std::copy_n(in.pixels.data() + at, row, out.at(view) + static_cast<size_t>(y) * row);
    }
  }

  std::vector<image::TileOrder> orders_;
};

FLOWRUN_NODE(Tiles);

}  // namespace
}  // namespace flowrun
