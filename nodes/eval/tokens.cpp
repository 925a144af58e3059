#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <cmath>

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct FrozenTokens {
  static constexpr NodeInfo info{.type = "eval.tokens",
                                 .brief = "All tokens of whole images from a frozen encoder: class, registers and patches.",
                                 .scope = Scope::device,
                                 .details = "After the final layer norm. No gradient; the encoder is read, never changed."};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceLabels> label{"label", "Classes, for probes that need them.", optional};
    In<DeviceLabelMaps> label_map{"label_map", "Class of each pixel, for segmentation.", optional};
    Out<EvalTokens> tokens{"tokens", "B S D."};
    void describe(auto& port) { port(image, label, label_map, tokens); }
  };
  struct Params {
    Ref<model::Encoder> model;
    void describe(auto& param) { param.reads("model", model, "The encoder; the paper evaluates the teacher."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.model, params.model.names[0]);
    plan.passes.push_back({params.model.names[0], /*gradient=*/false, [&model = *params.model, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost());
                           }});
    const model::EncoderShape shape = params.model->shape();
    const auto tokens = static_cast<double>(shape.patches() + shape.prefix);
    Planned& out = plan.out["tokens"];
    out = Planned::of({plan.group.images, tokens, static_cast<double>(shape.width)}, "float32", 4);
    out.width = static_cast<double>(shape.width), out.grid = static_cast<double>(shape.grid), out.prefix = static_cast<double>(shape.prefix);
  }

  void run(Ports& port, const GroupContext&) const {
    const at::NoGradGuard no_grad;
    const model::Tokens tokens = params.model->encode(port.image->images_BCHW, model::Seen(), model::EncodeOptions());
    std::vector<Tensor> parts;
    for (const Tensor& part : {tokens.cls_B1D, tokens.registers, tokens.patch}) {
      if (part.defined()) parts.push_back(part.to(at::kFloat));
    }
    EvalTokens& out = *port.tokens;
    out.tokens_BSD = at::cat(parts, 1);
    out.prefix = params.model->shape().prefix, out.grid = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(tokens.patch.size(1)))));
    if (port.label) out.labels_B = port.label->labels_B, out.label_range = port.label->range;
    if (port.label_map) out.maps_BHW = port.label_map->maps_BHW, out.map_range = port.label_map->range;
  }
};

FLOWRUN_NODE(FrozenTokens);

}  // namespace
}  // namespace flowrun
