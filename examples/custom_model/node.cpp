// A node that takes any model with the face Head: what the projector of model.cpp, or any other, makes of features.
#include "graph/node.h"

#include <ATen/core/grad_mode.h>

#include "graph/contract/planned.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace {

using namespace flowrun;

struct Project {
  static constexpr NodeInfo info{.type = "example.project", .brief = "Features behind a head.", .scope = Scope::device};
  struct Ports {
    In<Features> features{"features", "B D."};
    Out<Features> out{"features", "B, width of the head."};
    void describe(auto& port) { port(features, out); }
  };
  struct Params {
    Ref<model::Head> model;
    void describe(auto& param) { param.reads("model", model, "The head."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.out["features"] = Planned::of({plan.group.images, static_cast<double>(params.model->out_width())}, "float32", 4);
  }

  void run(Ports& port, const GroupContext&) const {
    const at::NoGradGuard no_grad;
    *port.out = *port.features;  // labels come along
    port.out->values_BD = params.model->apply(port.features->values_BD);
  }
};

FLOWRUN_NODE(Project);

}  // namespace
