#include <algorithm>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/stages.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/regressor.h"
#include "nodes/lib/tensor/types/feature_maps.h"

namespace flowrun {
namespace {

struct Vid {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.vid",
       .brief = "Gaussian negative log-likelihood of the teacher's map given the student's, with a learned variance per channel: variational "
                "information distillation.",
       .details = "Half of (s - t)² / v + log v, the mean over all elements, in float32 (Ahn et al., 2019): s is the student's map behind "
                  "maps.regress, v the variances of that model.regressor, which begin at 5. One node for each stage. The published weight is 1. "
                  "The optimizer that trains the student must list the regressor too."});
  struct Ports {
    In<FeatureMaps> student{"student", "From maps.regress."};
    In<FeatureMaps> teacher{"teacher", "The teacher's maps, without gradient; the regressor says which."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  struct Params : loss::Weight {
    Ref<model::Regressor> model;
    void describe(auto& param) {
      param.reads("model", model, "The regressor, with variance true.");
      Weight::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const model::RegressorConfig& config = params.model->config();
    if (!config.variance) plan.fault("model", no_variance(), "set its variance to true");
    plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
    const Planned teacher = plan.known("teacher");
    bool found = teacher.rows == 0;
    for (const StageShape& at : FeatureMaps::planned_stages(teacher)) {
      found = found || at.stage == config.to_stage;
      if (at.stage != config.to_stage || at.channels == static_cast<double>(config.out)) continue;
      plan.fault("teacher",
                 "the teacher's map of stage " + std::to_string(at.stage) + " has " + count_text(at.channels) + " channels, but " +
                     params.model.names[0] + " makes " + std::to_string(config.out),
                 "\"to\" of " + params.model.names[0] + " must name the teacher");
    }
    if (!found) plan.fault("teacher", missing(), hint);
  }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor variance_C = params.model->variance_C();
    if (!variance_C.defined()) throw NodeError(no_variance() + ": set its variance to true");
    const FeatureMaps& teacher = *port.teacher;
    const auto found = std::find(teacher.stages.begin(), teacher.stages.end(), params.model->config().to_stage);
    if (found == teacher.stages.end()) throw NodeError(missing() + ": " + hint);
    if (port.student->maps_BCHW.size() != 1) throw NodeError("student must be the one map that maps.regress makes");
    const Tensor& map = teacher.maps_BCHW[static_cast<size_t>(found - teacher.stages.begin())];
    const Tensor value = loss::variational_information(port.student->maps_BCHW[0], map, variance_C);
    params.give(value, context, *port.loss);
  }

 private:
  static constexpr const char* hint = "name it in stages of the encode.images that makes the teacher's maps";

  std::string no_variance() const { return params.model.names[0] + " has no variances"; }
  std::string missing() const {
    return params.model.names[0] + " is for the teacher's map of stage " + std::to_string(params.model->config().to_stage) +
           ", which does not come in";
  }
};

FLOWRUN_NODE(Vid);

}  // namespace
}  // namespace flowrun
