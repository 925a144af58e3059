#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/tap_params.h"
#include "nodes/lib/tensor/types/check_masks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/times.h"

namespace flowrun {
namespace {

struct EncodeVisible {
  static constexpr NodeInfo info{.type = "mim.encode_visible",
                                 .brief = "The student's pass: only the visible patches enter the encoder.",
                                 .scope = Scope::device,
                                 .details =
                                     "Ends with the encoder's final layer norm; registers are dropped. With several masks per image each mask is a "
                                     "pass of its own. A drop_path of the encoder acts here, drawn from this node's random stream. "
                                     "blocks and attention hand out what these blocks make of all tokens, for distillation; a frozen teacher sees "
                                     "the same patches, up to block last.",
                                 .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The visible patches."};
    In<Times> time{"time", "Of the noise in each picture, for a model with time; without it pictures have none.", optional};
    Out<VisibleTokens> tokens{"tokens", "Class token B 1 D and visible patches B K D; empty with last."};
    Out<BlockTaps> blocks{"blocks", "B S D of each of blocks; empty where there are none."};
    Out<AttentionTaps> attention{"attention", "Queries, keys and values, B heads S E, of each of attention."};
    void describe(auto& port) { port(image, mask, time, tokens, blocks, attention); }
  };
  struct Params {
    Ref<model::Encoder> model;
    bool maps = false;
    model::TapParams taps;
    int64_t last = 0;
    void describe(auto& param) {
      param.reads("model", model, "The student, or a frozen teacher.");
      param("maps", maps, "Whether the output of every block is handed on too, for model.cross_predictor.");
      taps.describe(param);
      param("last", last, not_negative, "The pass ends behind this block, and gives no tokens, only blocks and attention; 0: it does not.");
    }
    std::optional<ParamFault> check() const {
      const auto behind = [&](const std::vector<int64_t>& blocks) { return last > 0 && !blocks.empty() && blocks.back() > last; };
      if (last > 0 && taps.blocks.empty() && taps.attention.empty()) {
        return ParamFault{"last", "the pass ends before there are tokens, so blocks or attention must be asked for"};
      }
      if (behind(taps.blocks) || behind(taps.attention)) return ParamFault{"last", "the pass ends before a block that is asked for"};
      return taps.check();
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const model::EncoderShape shape = params.model->shape();
    model::check_images(plan, *params.model, params.model.names[0]);
    check_time(plan, params.model->takes_time(), params.model.names[0], "model.vit");
    if (!params.model->takes_patches()) {
      plan.fault("model", params.model.names[0] + " sees whole pictures, not chosen patches", "give this node a vision transformer");
    }
    model::check_grid(plan, shape.grid, params.model.names[0]);
    const double repeats = plan.group.repeats, cls = shape.class_token ? 1 : 0;
    if (params.last > shape.depth)
      plan.fault("last", "block " + std::to_string(params.last) + " is asked for, but there are " + std::to_string(shape.depth));
    const auto cost = [&model = *params.model, repeats, last = params.last, element = plan.group.element](const MaskCounts& seen) {
      return model.cost({.masks = seen, .blocks = last, .element = element}).value_or(Cost()).times(repeats);
    };
    plan.passes.push_back({params.model.names[0], /*gradient=*/!params.model->frozen(), cost});
    params.taps.plan(plan, *params.model, params.model.names[0], plan.group.rows, plan.group.masks.visible + static_cast<double>(shape.prefix));
    Planned& tokens = plan.out["tokens"];
    tokens = Planned::of({plan.group.rows, plan.group.masks.visible + cls, static_cast<double>(shape.width)}, "float32", 4);
    tokens.width = static_cast<double>(shape.width), tokens.class_token = cls, tokens.prefix = static_cast<double>(shape.prefix);
    tokens.noised = plan.known("image").noised;
  }

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return params.model->drops() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    check_masks(*port.mask, params.model->shape().grid, params.model.names[0]);
    const Tensor& visible = port.mask->visible_BK;
    const model::EncodeOptions options{.drop_path = model::draw_drop_path(*params.model, context, visible.size(0), visible.device()),
                                       .maps = params.maps,
                                       .time_B = port.time ? port.time->values_B : Tensor(),
                                       .taps = {.outputs = params.taps.blocks, .attention = params.taps.attention, .last = params.last}};
    model::Tokens tokens = params.model->encode(port.image->images_BCHW, {.visible_BK = visible}, options);
    params.taps.give(tokens, *params.model, port.mask->repeats, *port.blocks, *port.attention);
    port.tokens->cls_B1D = tokens.cls_B1D;
    port.tokens->registers = tokens.registers;
    port.tokens->patch_BKD = tokens.patch;
    port.tokens->visible_BK = visible;
    port.tokens->maps_BSD = std::move(tokens.maps_BSD);
  }
};

FLOWRUN_NODE(EncodeVisible);

}  // namespace
}  // namespace flowrun
