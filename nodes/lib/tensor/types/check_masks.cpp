#include "nodes/lib/tensor/types/check_masks.h"

#include "graph/text/error.h"

namespace flowrun {

void check_masks(const DeviceMasks& masks, int64_t grid, const std::string& owner) {
  if (!masks.visible_BK.defined()) throw NodeError("there are no masks: connect device.upload's input \"mask\"");
  if (masks.grid != grid) {
    const auto square = [](int64_t side) { return std::to_string(side) + "x" + std::to_string(side); };
    throw NodeError("the masks are for a grid of " + square(masks.grid) + " patches, " + owner + " has " + square(grid) +
                    ": give both the same patch size, and the model images of the same size");
  }
}

void check_patches(NodePlan& plan, int64_t patch) {
  plan.require_equal("number of views", "image", &Planned::views, "mask", "draw the masks from the batch of these images");
  const double side = plan.known("image").side, masks = plan.known("mask").grid, size = static_cast<double>(patch);
  if (side == 0) return;
  const double grid = side / size;
  if (grid != static_cast<double>(static_cast<int64_t>(grid))) {
    plan.fault("patch", "patches of " + std::to_string(patch) + " pixels don't tile pictures of " + count_text(side));
  } else if (masks != 0 && masks != grid) {
    plan.fault("mask",
               "the masks are for a grid of " + count_text(masks) + "x" + count_text(masks) + " patches, but patches of " + std::to_string(patch) +
                   " pixels make one of " + count_text(grid) + "x" + count_text(grid),
               "give both the same \"patch\"");
  }
}

}  // namespace flowrun
