// Patches that a node takes, chosen by masks.
#pragma once

#include <string>

#include "graph/contract/params.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {

/// The parameter "rows" of nodes that make targets of patches.
struct TargetRows {
  std::string rows = "targets";
  void describe(auto& param) {
    param("rows", rows, choices(),
          "Which patches. targets: the target regions, B R M. context: the visible patches as mim.encode_visible sees them, B 1 K. hidden, visible: "
          "all that the masks hide, or leave, one behind the other, 1 1 n; for encoders with a mask token.");
  }
  static const Choices& choices();
  /// Whether they keep the axes of the masks' lists.
  bool regions() const { return rows == "targets" || rows == "context"; }

  /// The places among the patches of the images: [B, R, M] (of context R is 1) of each mask's image, or [n] counted over all images (image x N +
  /// patch).
  Tensor index(const DeviceMasks& masks) const;
  /// The shape of such targets with so many values each.
  Planned planned(const PlannedGroup& group, double values) const;
};

}  // namespace flowrun
