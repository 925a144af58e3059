// Masks of a pipeline, drawn without reading any image.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "graph/check/entries.h"
#include "nodes/lib/host/mask/mask_statistics.h"
#include "tools/app/load/load.h"

namespace flowrun::app {

struct MaskReportArgs {
  PipelineArgs pipeline;
  std::string node;  // empty: the only one
  int64_t groups = 64;
  int size = 0;  // of images, pixels; 0: as the pipeline says
  bool json = false;
  std::string out;  // .svg; empty: no picture
};

struct DrawnMasks {
  std::string title;
  mask::MaskSummary summary;
  std::string picture;  // SVG
};

/// The nodes that draw masks.
std::vector<CheckedNode*> mask_nodes(CheckedPipeline& pipeline);
/// `size` of the images in pixels; 0: from the pipeline. Throws PipelineError if the masks depend on more than that,
/// RunError if they can't be drawn. Once per loaded pipeline and node.
DrawnMasks draw_masks(CheckedPipeline& pipeline, CheckedNode& node, int64_t groups, int size = 0);

/// The numbers of tokens that passes see of an image, group by group.
struct MaskSizes {
  struct Group {
    int64_t visible, regions, patches;
    double hidden;  // mean over the masks
  };
  std::vector<Group> groups;
  int64_t repeats = 1;  // masks of an image
};
/// Draws them as draw_masks() does, and throws as it does.
MaskSizes mask_sizes(CheckedPipeline& pipeline, CheckedNode& node, int64_t groups, int size = 0);

/// Throws PipelineError with all faults of the pipeline, or when it isn't clear which node is meant.
DrawnMasks mask_report(const MaskReportArgs& args);
nlohmann::ordered_json masks_json(const mask::MaskSummary& summary);
/// "4x6": height and width in patches.
std::string size_name(const std::pair<int, int>& size);

}  // namespace flowrun::app
