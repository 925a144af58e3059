// The common part of all mask nodes. A node derives from MaskNode.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::mask {

/// Patches along a side of the images. Throws NodeError unless they are a square grid of patches.
inline int grid_of(const ImageBatch& batch, int64_t patch) {
  if (batch.height != batch.width || batch.height % patch != 0) {
    throw NodeError("images of " + std::to_string(batch.width) + "x" + std::to_string(batch.height) + " are not a square grid of patches of " +
                    std::to_string(patch));
  }
  return batch.height / static_cast<int>(patch);
}

/// The grid of masks before there are any, and the faults that grid_of() would find.
inline void plan_masks(NodePlan& plan, int64_t patch) {
  const Planned image = plan.known("image");
  const double grid = image.side / static_cast<double>(patch);
  if (image.side > 0 && grid != static_cast<double>(static_cast<int64_t>(grid))) {
    plan.fault("patch", "patches of " + std::to_string(patch) + " pixels don't tile pictures of " + count_text(image.side));
  } else {
    plan.out["mask"].grid = grid;
  }
}

/// The fault of the first of these lists that does not hold two numbers, the smaller first.
inline std::optional<ParamFault> check_ranges(std::initializer_list<std::pair<const char*, const std::vector<double>*>> ranges) {
  for (const auto& [name, range] : ranges) {
    if (range->size() != 2 || (*range)[0] > (*range)[1]) return ParamFault{name, std::string(name) + " must be two numbers, the smaller first"};
  }
  return {};
}

/// The fault of `spread`, the ratios of mask::spread_counts(), if it is not empty.
inline std::optional<ParamFault> check_spread(const std::vector<double>& spread) {
  if (spread.empty()) return {};
  if (auto fault = check_ranges({{"spread", &spread}})) return fault;
  if (spread[1] == 0 || spread[1] == 1) {
    return ParamFault{"spread", "spread's second number must be between 0 and 1: something is hidden, not everything"};
  }
  return {};
}

/// Masks are random: they belong into the ledger.
inline void add_to_ledger(const Masks& masks, const LedgerEntry& ledger) {
  ledger.add(hash_bytes(masks.visible.data(), masks.visible.size() * sizeof(int64_t)));
  ledger.add(hash_bytes(masks.targets.data(), masks.targets.size() * sizeof(int64_t), /*seed=*/1));
  if (!masks.map.empty()) ledger.add(hash_bytes(masks.map.data(), masks.map.size(), /*seed=*/2));
}

/// The ports of a mask node. The default is for masks whose hidden patches are one region. Of pictures with several views each view
/// is an image with a mask of its own.
struct Ports {
  In<ImageBatch> image{"image", "The images to mask; gives their number and the grid."};
  Out<Masks> mask;
  explicit Ports(const char* masks = "Visible B K, and the hidden patches as one region B 1 M.") : mask("mask", masks) {}
  void describe(auto& port) { port(image, mask); }
};

/// Of masks with several target regions.
struct RegionPorts : Ports {
  RegionPorts() : Ports("Visible B K and targets B R M.") {}
};

/// The first parameter of every mask node.
struct PatchParam {
  int64_t patch = 16;
  void describe(auto& param) { param("patch", patch, positive, "Side of a patch, pixels; as the encoder's."); }
};

/// The common members of the mask nodes. A node adds its `info`, `params` with a PatchParam among them, other Ports if it needs them,
/// and `void draw(int grid, int64_t images, const GroupContext&, Masks& out) const`: the masks of so many images with grid x grid
/// patches. `context.images` counts pictures, `images` their views as well. Any thread; all random numbers come from the context.
/// Throws NodeError as grid_of() does.
template <class Node>
struct MaskNode {
  using Ports = mask::Ports;
  void plan(NodePlan& plan) const { plan_masks(plan, static_cast<const Node&>(*this).params.patch); }
  void run(mask::Ports& port, const GroupContext& context) const {
    const Node& node = static_cast<const Node&>(*this);
    node.draw(grid_of(*port.image, node.params.patch), context.images * port.image->views, context, *port.mask);
    add_to_ledger(*port.mask, context.ledger);
  }
};

}  // namespace flowrun::mask
