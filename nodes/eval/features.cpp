#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/token_pool.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct FrozenFeatures {
  static constexpr NodeInfo info{.type = "eval.features",
                                 .brief = "Features of whole images from a frozen encoder: the mean of the patches, the class token, or both.",
                                 .scope = Scope::device,
                                 .details = "After the final layer norm; registers are left out. No gradient; the encoder is read, never changed."};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceLabels> label{"label", "Classes, for evaluations that need them.", optional};
    Out<Features> features{"features", "B D, or B 2D of cls_mean."};
    void describe(auto& port) { port(image, label, features); }
  };
  struct Params {
    Ref<model::Encoder> model;
    std::string pool = "mean";
    void describe(auto& param) {
      param.reads("model", model, "The encoder; the paper evaluates the teacher.");
      param("pool", pool, model::pool_choices(), model::pool_brief);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.model, params.model.names[0]);
    model::check_pool(plan, *params.model, params.pool, params.model.names[0]);
    plan.passes.push_back({params.model.names[0], /*gradient=*/false,
                           [&model = *params.model, read = model::tokens_of(params.pool), element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .read = read, .element = element}).value_or(Cost());
                           }});
    const double values = model::pooled_width(*params.model, params.pool);
    plan.out["features"] = Planned::of({plan.group.images, values}, "float32", 4);
    plan.out["features"].width = values;
  }

  void run(Ports& port, const GroupContext&) const {
    const at::NoGradGuard no_grad;
    const model::Tokens tokens = params.model->encode(port.image->images_BCHW, model::Seen(), {.read = model::tokens_of(params.pool)});
    port.features->values_BD = model::pooled(tokens, params.pool);
    if (port.label) port.features->labels_B = port.label->labels_B, port.features->range = port.label->range;
  }
};

FLOWRUN_NODE(FrozenFeatures);

}  // namespace
}  // namespace flowrun
