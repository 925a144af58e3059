// Checks of models that a node changes: not frozen, and alike where one becomes another.
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

/// A fault at "to" unless both models have the same parameters, as a copy has: `from` and `to` are their names in the pipeline.
inline void check_copy(NodePlan& plan, const Module& original, const std::string& from, const Module& copy, const std::string& to) {
  const Parameters &a = original.parameters(), &b = copy.parameters();
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = a.at(i).name == b.at(i).name && a[i].sizes() == b[i].sizes();
  if (same) return;
  plan.fault("to", "the models " + from + " and " + to + " have different parameters", "make " + to + " a model.ema_copy of " + from);
}

}  // namespace flowrun::model
