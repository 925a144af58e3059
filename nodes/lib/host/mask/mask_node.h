// Shared by the mask nodes, besides their maths.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::mask {

/// Patches along a side of the images. Throws NodeError unless they are a square grid of patches, one view each.
inline int grid_of(const ImageBatch& batch, int64_t patch) {
  if (batch.views != 1) {
    throw NodeError("masks are for one view of a picture, but the batch holds " + std::to_string(batch.views) +
                    "; give each view a chain of nodes and a batch.stack of its own, with count = 1 at image.random_crop");
  }
  if (batch.height != batch.width || batch.height % patch != 0) {
    throw NodeError("images of " + std::to_string(batch.width) + "x" + std::to_string(batch.height) + " are not a square grid of patches of " +
                    std::to_string(patch));
  }
  return batch.height / static_cast<int>(patch);
}

/// The fault of the first of these lists that does not hold two numbers, the smaller first.
inline std::optional<ParamFault> check_ranges(std::initializer_list<std::pair<const char*, const std::vector<double>*>> ranges) {
  for (const auto& [name, range] : ranges) {
    if (range->size() != 2 || (*range)[0] > (*range)[1]) return ParamFault{name, std::string(name) + " must be two numbers, the smaller first"};
  }
  return {};
}

/// Masks are random: they belong into the ledger.
inline void add_to_ledger(const Masks& masks, const LedgerEntry& ledger) {
  ledger.add(hash_bytes(masks.visible.data(), masks.visible.size() * sizeof(int64_t)));
  ledger.add(hash_bytes(masks.targets.data(), masks.targets.size() * sizeof(int64_t), /*seed=*/1));
  if (!masks.map.empty()) ledger.add(hash_bytes(masks.map.data(), masks.map.size(), /*seed=*/2));
}

}  // namespace flowrun::mask
