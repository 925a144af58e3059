// The picture of mask-report: SVG, written here.
#pragma once

#include <string>
#include <vector>

#include "graph/contract/shown.h"
#include "nodes/lib/host/mask/mask_statistics.h"

namespace flowrun::app {

std::string mask_picture(const std::string& title, const mask::MaskSummary& summary, const std::vector<ShownMask>& examples);

}  // namespace flowrun::app
