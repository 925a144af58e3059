#include <ATen/core/grad_mode.h>
#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/types/grids.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct UploadGrids {
  static constexpr NodeInfo info{.type = "device.upload_grids",
                                 .brief = "Brings feature grids, their labels and masks to the device: device.upload for grids.",
                                 .scope = Scope::device,
                                 .details = "The values stay as they are. An encoder takes them as images of C channels, with patch 1."};
  struct Ports {
    In<GridBatch> grid{"grid", "B H W C float32."};
    In<LabelBatch> label{"label", "Classes.", optional};
    In<Masks> mask{"mask", "Visible cells and target regions.", optional};
    Out<DeviceImages> images{"image", "B C H W float."};
    Out<DeviceLabels> labels{"label", "B int64; empty without labels."};
    Out<DeviceMasks> masks{"mask", "As of device.upload; empty without masks."};
    void describe(auto& port) { port(grid, label, mask, images, labels, masks); }
  };
  struct Params {
    void describe(auto&) {}
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "grid", &Planned::views, "mask", "draw the masks from the batch of these grids");
    const Planned grid = plan.known("grid");
    plan.out["image"].side = grid.side, plan.out["image"].views = grid.views;
  }

  void open(const OpenContext& context) { device_ = torch_device(context.run); }

  void run(Ports& port, const GroupContext&) {
    const at::NoGradGuard no_grad;
    const GridBatch& in = *port.grid;
    if (port.mask && port.mask->images != in.grids) {
      throw NodeError("there are " + std::to_string(in.grids) + " grids, but masks of " + std::to_string(port.mask->images) +
                      ": draw the masks from the batch of these grids");
    }
    CopyStream copies(device_);
    const Tensor values = send_batch(in.values.data(), {in.grids, in.height, in.width, in.channels}, at::kFloat, device_);
    if (port.label && !port.label->values.empty()) *port.labels = DeviceLabels::sent(*port.label, in.grids, device_);
    if (port.mask) *port.masks = DeviceMasks::sent(*port.mask, device_);
    copies.end({values, port.labels->labels_B, port.masks->visible_BK, port.masks->targets_BRM, port.masks->ordered_n});
    *port.images = {.images_BCHW = values.permute({0, 3, 1, 2}).contiguous(), .views = in.views, .mean = {}, .std = {}};
  }

 private:
  at::Device device_{at::kCPU};
};

FLOWRUN_NODE(UploadGrids);

}  // namespace
}  // namespace flowrun
