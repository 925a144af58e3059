// Models that a node changes must not be frozen.
#pragma once

#include <string>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// Before a run: a fault at parameter `at` if the model, `name` in the pipeline, is frozen. Returns whether it may be changed.
inline bool check_writable(NodePlan& plan, const Module& model, const std::string& at, const std::string& name) {
  if (model.frozen()) plan.fault(at, "the model " + name + " is frozen", "drop \"frozen\" from it, or leave it out here");
  return !model.frozen();
}

}  // namespace flowrun::model
