// The parameters of both of I-JEPA's masks.
#pragma once

#include <optional>
#include <vector>

#include "nodes/lib/host/mask/mask_node.h"

namespace flowrun::mask {

struct IjepaParams : PatchParam {
  int64_t regions = 4, min_keep = 10;
  std::vector<double> size = {0.15, 0.2}, aspect = {0.75, 1.5}, context = {0.85, 1.0};

  void describe(auto& param) {
    PatchParam::describe(param);
    param("regions", regions, Range{1, 16}, "Target regions of an image.");
    param("size", size, Range{0, 1}, "Smallest and largest share of the patches in a region.");
    param("aspect", aspect, Range{0.01, 100}, "Smallest and largest height over width of a region.");
    param("context", context, Range{0, 1}, "Smallest and largest share of the patches in the square that may be visible.");
    param("min_keep", min_keep, positive,
          "Fewest visible patches; images with fewer are drawn again (mask.ijepa_compat: images with no more than this).");
  }
  std::optional<ParamFault> check() const { return check_ranges({{"size", &size}, {"aspect", &aspect}, {"context", &context}}); }
};

}  // namespace flowrun::mask
