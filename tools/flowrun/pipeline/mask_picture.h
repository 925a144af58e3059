// The picture of mask-report: SVG, written here.
#pragma once

#include <string>
#include <vector>

#include "nodes/lib/host/mask/mask_statistics.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::tool {

/// One mask. Per patch: whether it is visible, and the regions that it is in.
struct MaskExample {
  int grid = 0;
  std::vector<bool> visible;
  std::vector<std::vector<int>> regions;
};
MaskExample example_of(const Masks& masks, int64_t row);

std::string mask_picture(const std::string& title, const mask::MaskSummary& summary, const std::vector<MaskExample>& examples);

}  // namespace flowrun::tool
