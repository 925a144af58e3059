#include "nodes/device.h"
#include "nodes/model_resources.h"

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
    Out<Prediction> prediction{"prediction", "B R M O."};
    void describe(auto& port) { port(tokens, mask, prediction); }
  };
  struct Params {
    Ref<PredictorResource> model;
    void describe(auto& param) { param.reads("model", model, "The predictor."); }
  };
  Params params;

  /// Every group has its own random numbers; a recording would repeat those of the first.
  int64_t variant(const GroupContext&) const { return params.model->draws() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const VisibleTokens& tokens = *port.tokens;
    const uint64_t address[] = {context.seed, context.stream, context.epoch, context.group};
    port.prediction->values = params.model->predict({.cls_B1D = tokens.cls_B1D,
                                                     .patch_BKD = tokens.patch_BKD,
                                                     .maps_BSD = tokens.maps_BSD,
                                                     .visible_BK = tokens.visible_BK,
                                                     .targets_BRM = port.mask->targets_BRM,
                                                     .noise = hash_bytes(address, sizeof address)});
    port.prediction->parts = params.model->blocks;
  }
};

FLOWRUN_NODE(Predict);

}  // namespace
}  // namespace flowrun
