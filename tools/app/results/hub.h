// Weights of a run as a folder in the layout of model hubs.
#pragma once

#include <string>

#include "tools/app/results/export.h"

namespace flowrun::app {

struct HubArgs {
  ExportArgs weights;   // `to` is the folder
  std::string licence;  // an identifier of SPDX; empty: not said
};

/// Writes model.safetensors, config.json (timm.create_model("local-dir:FOLDER") takes both), README.md (a model card), and the run's other models
/// (heads, predictors) in the folder `models`. Exports vision transformers, and ResNet-18, 34 and 50 of runs. Throws RunError; files that are there
/// are replaced.
Exported export_folder(const HubArgs& args);

}  // namespace flowrun::app
