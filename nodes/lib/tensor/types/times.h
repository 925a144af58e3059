// The times of the noise in pictures, for models whose norms adapt to them.
#pragma once

#include <string>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/device/recording.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

struct Times {
  static constexpr const char* type_name = "times of noise";
  Tensor values_B;  // int64, of each picture: 0 without noise, else from 1
  void release() { values_B.reset(); }
  std::string shape() const { return recording::shape(values_B); }
  void refill(const Times& from) { recording::refill(values_B, from.values_B); }
  static void plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images}, "int64", 8); }
};

/// Before a run: a fault at input "time" if a time comes in that the model, `name` in the pipeline, doesn't take; `type` is a model type that does.
inline void check_time(NodePlan& plan, bool takes, const std::string& name, const char* type) {
  if (takes || !plan.in.contains("time")) return;
  plan.fault("time", "a time comes in, but " + name + " takes none", "make " + name + " a " + type + " with \"time\": true, or connect no time");
}

}  // namespace flowrun
