#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/predictor.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/times.h"

namespace flowrun {
namespace {

struct Predict {
  static constexpr NodeInfo info{.type = "mim.predict",
                                 .brief = "The predictor's pass: from visible tokens to every target patch of every region.",
                                 .scope = Scope::device,
                                 .details =
                                     "The model decides whether regions see each other: see model.predictor, model.cross_predictor and "
                                     "model.conv_predictor. The model's random numbers come from this node's random stream.",
                                 .repeats = true};
  struct Ports {
    In<VisibleTokens> tokens{"tokens", "From mim.encode_visible."};
    In<DeviceMasks> mask{"mask", "The target regions."};
    In<Times> time{"time", "Of the noise in each picture, for a model with time; without it pictures have none.", optional};
    Out<Prediction> prediction{"prediction", "B R M O."};
    Out<Prediction> at_visible{"visible", "B 1 K O, O being the model's visible_out; empty unless visible is true."};
    void describe(auto& port) { port(tokens, mask, time, prediction, at_visible); }
  };
  struct Params {
    Ref<model::Predictor> model;
    bool visible = false;
    void describe(auto& param) {
      param.reads("model", model, "The predictor.");
      param("visible", visible, "Whether the visible patches are predicted too, by a model with a visible_out.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned tokens = plan.in["tokens"];
    const std::string& name = params.model.names[0];
    model::check_grid(plan, params.model->grid(), name);
    plan.require_width("tokens", params.model->in_width(), name, "\"encoder\" of " + name + " must name the model that makes them");
    check_time(plan, params.model->takes_time(), name, "model.predictor");
    if (params.model->takes_time() && tokens.noised && !plan.in.contains("time")) {
      plan.fault("tokens", "tokens of pictures with noise come in without its time, which " + name + " takes",
                 "connect \"time\" of the node that adds the noise");
    }
    if (params.visible && params.model->visible_width() == 0) {
      plan.fault("visible", name + " makes no predictions at visible patches", "give " + name + " a \"visible_out\"");
    }
    const model::Pass pass{
        .class_token = static_cast<int64_t>(tokens.class_token), .prefix = static_cast<int64_t>(tokens.prefix), .element = plan.group.element};
    const auto cost = [&model = *params.model, pass, repeats = plan.group.repeats, visible = params.visible](const MaskCounts& seen) {
      model::Pass masked = pass;
      masked.masks = seen;
      Cost cost = model.cost(masked).value_or(Cost());
      if (visible) cost += model.visible_cost(masked);
      return cost.times(repeats);
    };
    plan.passes.push_back({name, true, cost});
    const MaskCounts& masks = plan.group.masks;
    const auto width = static_cast<double>(params.model->out_width());
    Planned& prediction = plan.out["prediction"];
    prediction = Planned::of({plan.group.rows, masks.regions, masks.patches, width}, plan.group.product(), plan.group.element);
    prediction.width = width;
    prediction.parts = params.model->blocks;
    prediction.held = 3;  // the loss makes two more of its size
    const auto visible_width = params.visible ? static_cast<double>(params.model->visible_width()) : 0;
    Planned& visible = plan.out["visible"];
    visible = Planned::of({plan.group.rows, 1, masks.visible, visible_width}, plan.group.product(), plan.group.element);
    visible.width = visible_width, visible.held = 3;
  }

  /// Every group has its own random numbers; a recording would repeat those of the first.
  int64_t variant(const GroupContext&) const { return params.model->draws() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const VisibleTokens& tokens = *port.tokens;
    const uint64_t address[] = {context.seed, context.stream, context.epoch, context.group};
    port.at_visible->values.reset(), port.at_visible->parts.clear();
    port.prediction->values = params.model->predict({.cls_B1D = tokens.cls_B1D,
                                                     .registers = tokens.registers,
                                                     .patch_BKD = tokens.patch_BKD,
                                                     .maps_BSD = tokens.maps_BSD,
                                                     .visible_BK = tokens.visible_BK,
                                                     .targets_BRM = port.mask->targets_BRM,
                                                     .noise = hash_bytes(address, sizeof address),
                                                     .time_B = port.time ? port.time->values_B : Tensor(),
                                                     .visible_B1KO = params.visible ? &port.at_visible->values : nullptr});
    port.prediction->parts = params.model->blocks;
  }
};

FLOWRUN_NODE(Predict);

}  // namespace
}  // namespace flowrun
