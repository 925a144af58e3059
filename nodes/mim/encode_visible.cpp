#include "nodes/device.h"
#include "nodes/model_resources.h"

namespace flowrun {
namespace {

struct EncodeVisible {
  static constexpr NodeInfo info{.type = "mim.encode_visible",
                                 .brief = "The student's pass: only the visible patches enter the encoder.",
                                 .scope = Scope::device,
                                 .details = "Ends with the encoder's final layer norm; registers are dropped."};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The visible patches."};
    Out<VisibleTokens> tokens{"tokens", "Class token B 1 D and visible patches B K D."};
    void describe(auto& port) { port(image, mask, tokens); }
  };
  struct Params {
    Ref<VitResource> model;
    void describe(auto& param) { param.reads("model", model, "The student."); }
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    if (!port.mask->visible_BK.defined()) throw NodeError("there are no masks: connect device.upload's input \"mask\"");
    const model::Vit::Tokens tokens = params.model->vit.encode_visible(port.image->images_BCHW, port.mask->visible_BK);
    port.tokens->cls_B1D = tokens.cls_B1D;
    port.tokens->patch_BKD = tokens.patch;
    port.tokens->visible_BK = port.mask->visible_BK;
  }
};

FLOWRUN_NODE(EncodeVisible);

}  // namespace
}  // namespace flowrun
