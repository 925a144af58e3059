// Weights of a run as a folder in the layout of model hubs.
#pragma once

#include <string>

#include "tools/app/weights/export.h"

namespace flowrun::app {

struct HubArgs {
  ExportArgs weights;   // `to` is the folder
  std::string licence;  // an identifier of SPDX; empty: not said
  // The graphs model.onnx and model.pt2, which tools/python/flowrun/hub.py writes afterwards, are wanted: check.safetensors is written for them.
  bool onnx = false, pt2 = false;
};

/// Writes model.safetensors, config.json (timm.create_model("local-dir:FOLDER") takes both), README.md (a model card), and the run's other models
/// (heads, predictors) in the folder `models`. Exports vision transformers, and ResNet-18, 34 and 50 of runs. Throws RunError; files that are there
/// are replaced, and graphs of an earlier export (model.onnx, model.pt2) are removed.
Exported export_folder(const HubArgs& args);

}  // namespace flowrun::app
