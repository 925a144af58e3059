#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/host/types/grids.h"
#include "nodes/lib/host/types/group_sizes.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct StackGrids {
  static constexpr NodeInfo info{.type = "batch.stack_grids",
                                 .brief = "Stacks feature grids into batches, cut into groups: batch.stack for grids.",
                                 .scope = Scope::batch,
                                 .details =
                                     "Groups, views and labels are those of batch.stack. The output image has the grids' shape and no pixels: it "
                                     "tells mask nodes, whose patch is 1 "
                                     "there, how many masks to draw. The values enter the ledger."};
  struct Ports {
    In<FeatureGrid> grid{"grid", "H W C, or several views; the same size for all samples."};
    In<Label> label{"label", "Class of the sample.", optional};
    Out<GridBatch> grids{"grid", "B H W C float32, B = group; of several views those of a grid side by side."};
    Out<ImageBatch> image{"image", "The shape alone, for mask nodes."};
    Out<LabelBatch> labels{"label", "B class indices, -1 where unknown."};
    void describe(auto& port) { port(grid, label, grids, image, labels); }
  };
  using Params = GroupSizes;
  Params params;

  Grouping grouping() const { return params.grouping(); }

  void plan(NodePlan& plan) const {
    plan.out["image"].side = plan.out["grid"].side = plan.known("grid").side;
    plan.out["image"].views = plan.out["grid"].views = plan.known("grid").views;
  }

  void fold(Ports& port, const FoldContext& context) const {
    const FeatureGrid& grid = *port.grid;
    const int64_t capacity = params.capacity(context);
    if (!port.grids->put(context.index, capacity, grid)) {
      throw NodeError("the grid is " + std::to_string(grid.views) + " x " + std::to_string(grid.height) + "x" + std::to_string(grid.width) + " of " +
                      std::to_string(grid.channels) + " numbers, others of its batch are " + std::to_string(port.grids->views) + " x " +
                      std::to_string(port.grids->height) + "x" + std::to_string(port.grids->width) + " of " + std::to_string(port.grids->channels));
    }
    if (port.label) {
      port.labels->reserve(capacity * grid.views);
      std::fill_n(port.labels->values.begin() + context.index * grid.views, grid.views, port.label->value);
    }
    context.ledger.add(hash_bytes(grid.values.data(), grid.values.size() * sizeof(float)));
  }

  void run(Ports& port, const GroupContext& context) const {
    GridBatch& grids = *port.grids;
    grids.grids = context.images * grids.views;
    port.image->images = grids.grids, port.image->views = grids.views;
    port.image->height = grids.height, port.image->width = grids.width;
  }
};

FLOWRUN_NODE(StackGrids);

}  // namespace
}  // namespace flowrun
