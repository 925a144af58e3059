#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct HeadApply {
  static constexpr NodeInfo info{
      .type = "head.apply",
      .brief = "Vectors through a head: projections, predictions, or scores of prototypes.",
      .scope = Scope::device,
      .details =
          "Several nodes may read one head; its gradients add up. With train false no gradient is recorded. Batch norms "
          "are those of encode.images. The prediction is the same values as the losses between a prediction and a target take them.",
      .repeats = true};
  struct Ports {
    In<Vectors> vectors{"vectors", "n D."};
    Out<Vectors> out{"vectors", "n O."};
    Out<Prediction> prediction{"prediction", "1 1 n O."};
    void describe(auto& port) { port(vectors, out, prediction); }
  };
  struct Params : model::PassParams {
    Ref<model::Head> model;
    void describe(auto& param) {
      param.reads("model", model, "The head.");
      PassParams::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const double known = plan.known("vectors").rows, rows = known > 0 ? known : plan.group.images, of_each = rows / plan.group.images;
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, of_each, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost()).times(of_each);
                           }});
    const auto width = static_cast<double>(params.model->out_width());
    plan.out["vectors"] = Vectors::planned(rows, width);
    plan.out["vectors"].rows = known;
    plan.out["prediction"] = Planned::of({1, 1, rows, width}, "float32", 4);
    plan.out["prediction"].width = width;
    plan.require_width("vectors", params.model->in_width(), params.model.names[0], mend);
  }

  /// A recording would leave out the statistics of batch norms, which the host keeps.
  int64_t variant(const GroupContext&) const { return measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const Tensor& x = port.vectors->values_nD;
    if (x.size(1) != params.model->in_width()) {
      throw NodeError("the vectors have width " + std::to_string(x.size(1)) + ", but " + params.model.names[0] + " takes " +
                      std::to_string(params.model->in_width()) + ": " + mend);
    }
    *port.out = *port.vectors;
    const bool apart = params.statistics != "batch" && !port.vectors->image_n.defined();  // rows of patches don't tell views apart
    port.out->values_nD =
        model::for_each_view(x, apart ? port.vectors->views : 1, measures(), context,
                             [&](const Tensor& of_view, const model::NormPass& norm) { return params.model->apply(of_view, norm); });
    port.prediction->values = port.out->values_nD.unsqueeze(0).unsqueeze(0);
    port.prediction->parts.clear();
  }

 private:
  static constexpr const char* mend =
      "\"of\" of that head must name the model that makes them, and \"joined\" be the number of views that lie side by side";

  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }
};

FLOWRUN_NODE(HeadApply);

}  // namespace
}  // namespace flowrun
