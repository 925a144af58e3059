#include "nodes/lib/tensor/metric/cells.h"

#include <cmath>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct CellTargets {
  static constexpr NodeInfo info{
      .type = "targets.cells",
      .brief = "The classes of the pixels at each place of an encoder's map, as soft labels: to train a network that segments.",
      .scope = Scope::device,
      .details =
          "Of each place the share of each class among its pixels that have a label, in the order of tokens.rows with what \"all\"; a row "
          "weighs as much as its share of labelled pixels. Pictures and label maps have one size, and the places divide it.",
      .repeats = true};
  struct Ports {
    In<DeviceLabelMaps> label_map{"label_map", "B H W u8."};
    In<Vectors> vectors{"vectors", "A row for each place, from tokens.rows; says how many places there are."};
    Out<SoftLabels> soft_label{"soft_label", "n classes."};
    void describe(auto& port) { port(label_map, vectors, soft_label); }
  };
  struct Params {
    int64_t classes = 2;
    void describe(auto& param) { param.required("classes", classes, Range{2, 255}, "How many classes there are."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned vectors = plan.known("vectors");
    Planned& out = plan.out["soft_label"];
    out = Planned::of({vectors.rows, static_cast<double>(params.classes)}, "float32", 4);
    out.rows = vectors.rows, out.width = static_cast<double>(params.classes), out.grid = vectors.grid;
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& maps = port.label_map->maps_BHW;
    if (!maps.defined()) throw NodeError("there are no label maps: connect label_map from image.label_resize to batch.stack and device.upload");
    if (port.label_map->range.most >= params.classes) {
      throw NodeError("a pixel is of class " + std::to_string(port.label_map->range.most) + ", but there are classes 0 to " +
                      std::to_string(params.classes - 1) + "; set classes, or map and ignore of image.png_labels");
    }
    const int64_t places = port.vectors->values_nD.size(0) / maps.size(0);
    const auto grid = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(places))));
    if (grid * grid * maps.size(0) != port.vectors->values_nD.size(0)) {
      throw NodeError("there are " + std::to_string(port.vectors->values_nD.size(0)) + " rows for " + std::to_string(maps.size(0)) +
                      " label maps: connect the vectors of tokens.rows with what \"all\", of the same pictures");
    }
    const eval::CellShares cells = eval::cell_shares(maps, grid, params.classes);
    port.soft_label->values_BC = cells.shares_nC, port.soft_label->weight_B = cells.labelled_n;
    port.soft_label->views = 1;
  }
};

FLOWRUN_NODE(CellTargets);

}  // namespace
}  // namespace flowrun
