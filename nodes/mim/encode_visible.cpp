#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/types/check_masks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct EncodeVisible {
  static constexpr NodeInfo info{.type = "mim.encode_visible",
                                 .brief = "The student's pass: only the visible patches enter the encoder.",
                                 .scope = Scope::device,
                                 .details =
                                     "Ends with the encoder's final layer norm; registers are dropped. With several masks per image each mask is a "
                                     "pass of its own. A drop_path of the encoder acts here, drawn from this node's random stream.",
                                 .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The visible patches."};
    Out<VisibleTokens> tokens{"tokens", "Class token B 1 D and visible patches B K D."};
    void describe(auto& port) { port(image, mask, tokens); }
  };
  struct Params {
    Ref<model::Encoder> model;
    bool maps = false;
    void describe(auto& param) {
      param.reads("model", model, "The student.");
      param("maps", maps, "Whether the output of every block is handed on too, for model.cross_predictor.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const model::EncoderShape shape = params.model->shape();
    model::check_images(plan, *params.model, params.model.names[0]);
    if (!params.model->takes_patches()) {
      plan.fault("model", params.model.names[0] + " sees whole pictures, not chosen patches", "give this node a vision transformer");
    }
    model::check_grid(plan, shape.grid, params.model.names[0]);
    const double repeats = plan.group.repeats, cls = shape.class_token ? 1 : 0;
    plan.passes.push_back({params.model.names[0], true, [&model = *params.model, repeats, element = plan.group.element](const MaskCounts& seen) {
                             return model.cost({.masks = seen, .element = element}).value_or(Cost()).times(repeats);
                           }});
    Planned& tokens = plan.out["tokens"];
    tokens = Planned::of({plan.group.rows, plan.group.masks.visible + cls, static_cast<double>(shape.width)}, "float32", 4);
    tokens.width = static_cast<double>(shape.width), tokens.class_token = cls, tokens.prefix = static_cast<double>(shape.prefix);
  }

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return params.model->drops() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    check_masks(*port.mask, params.model->shape().grid, params.model.names[0]);
    const Tensor& visible = port.mask->visible_BK;
    const model::EncodeOptions options{.drop_path = model::draw_drop_path(*params.model, context, visible.size(0), visible.device()),
                                       .maps = params.maps};
    model::Tokens tokens = params.model->encode(port.image->images_BCHW, {.visible_BK = visible}, options);
    port.tokens->cls_B1D = tokens.cls_B1D;
    port.tokens->patch_BKD = tokens.patch;
    port.tokens->visible_BK = visible;
    port.tokens->maps_BSD = std::move(tokens.maps_BSD);
  }
};

FLOWRUN_NODE(EncodeVisible);

}  // namespace
}  // namespace flowrun
