// The maps behind stages of a convolutional encoder.
#pragma once

#include <vector>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// The map behind one stage.
struct StageShape {
  int64_t stage = 0;  ///< its number; 1 is the stem
  double channels = 0;
  double side = 0;  ///< 0: not known
};

/// One map for each stage that was asked for, in the order of the stages. With several views of a picture B counts the views, those of a
/// picture side by side. With a gradient history if the pass that made them records one.
struct FeatureMaps {
  static constexpr const char* type_name = "feature maps";
  std::vector<Tensor> maps_BCHW;  // float, or the precision of autocast
  std::vector<int64_t> stages;    // their numbers
  int64_t views = 1;

  /// The sizes of all stages, from which planned_stages() reads them.
  static Planned planned(double images, const std::vector<StageShape>& stages) {
    Planned out;
    double bytes = 0;
    for (const StageShape& at : stages) {
      const Planned map = Planned::of({images, at.channels, at.side, at.side}, "float32", 4);
      out.text += (out.text.empty() ? "" : ", ") + map.text;
      bytes += map.bytes;
      out.parts.insert(out.parts.end(), {at.stage, static_cast<int64_t>(at.channels), static_cast<int64_t>(at.side)});
    }
    out.bytes = bytes, out.rows = images;
    return out;
  }
  /// Empty where nothing is known.
  static std::vector<StageShape> planned_stages(const Planned& maps) {
    std::vector<StageShape> stages;
    for (size_t i = 0; i + 2 < maps.parts.size(); i += 3) {
      stages.push_back({maps.parts[i], static_cast<double>(maps.parts[i + 1]), static_cast<double>(maps.parts[i + 2])});
    }
    return stages;
  }
  void release() { maps_BCHW.clear(); }
};

}  // namespace flowrun
