#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/text_inputs.h"
#include "nodes/lib/tensor/types/texts.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct EncodeText {
  static constexpr NodeInfo info{.type = "encode.text",
                                 .brief = "Texts through a text tower: one vector of each.",
                                 .scope = Scope::device,
                                 .details = "After the final norm. With train, gradients are recorded; several nodes may read one tower.",
                                 .repeats = true};
  struct Ports {
    In<DeviceTexts> text{"text", "B T: texts of text.tokens, behind batch.stack and device.upload."};
    Out<Vectors> vectors{"vectors", "B D, one for each picture."};
    void describe(auto& port) { port(text, vectors); }
  };
  struct Params {
    Ref<model::Text> model;
    std::string pool = "end";
    bool train = true;
    void describe(auto& param) {
      param.reads("model", model, "The text tower.");
      param("pool", pool, model::text_pools(), model::text_pool_brief);
      param("train", train, "Whether the vectors are trained on.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const double texts = plan.group.images / plan.group.views;
    model::check_texts(plan, "text", *params.model, params.model.names[0]);
    model::check_pool(plan, *params.model, params.pool, params.model.names[0]);
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost());
                           }});
    plan.out["vectors"] = Vectors::planned(texts, static_cast<double>(params.model->width()));
    plan.out["vectors"].views = 1;
  }

  void run(Ports& port, const GroupContext&) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const DeviceTexts& texts = *port.text;
    if (!texts.ids_BT.defined()) throw NodeError("there are no texts: connect text of text.tokens to batch.stack, and batch.stack to device.upload");
    model::require_vocabulary(texts.most, *params.model, params.model.names[0]);
    *port.vectors = {.values_nD = params.model->encode(texts.ids_BT, texts.end_B, model::text_pool(params.pool)),
                     .views = 1,
                     .image_n = {},
                     .images = texts.ids_BT.size(0)};
  }
};

FLOWRUN_NODE(EncodeText);

}  // namespace
}  // namespace flowrun
