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

}  // namespace flowrun
