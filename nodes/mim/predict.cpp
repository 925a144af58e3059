#include "nodes/device.h"
#include "nodes/model_resources.h"

namespace flowrun {
namespace {

struct Predict {
  static constexpr NodeInfo info{.type = "mim.predict",
                                 .brief = "The predictor's pass: from visible tokens to every target patch of every region.",
                                 .scope = Scope::device,
                                 .details = "Regions are separate entries of the batch and never see each other."};
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

  void run(Ports& port, const GroupContext&) const {
    const VisibleTokens& tokens = *port.tokens;
    port.prediction->values = params.model->predictor.predict(tokens.cls_B1D, tokens.patch_BKD, tokens.visible_BK, port.mask->targets_BRM);
    port.prediction->parts = params.model->blocks;
  }
};

FLOWRUN_NODE(Predict);

}  // namespace
}  // namespace flowrun
