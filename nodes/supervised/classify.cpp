#include <ATen/core/grad_mode.h>

#include "nodes/classifier_resource.h"
#include "nodes/device.h"
#include "nodes/device/send.h"

namespace flowrun {
namespace {

struct Classify {
  static constexpr NodeInfo info{
      .type = "supervised.classify",
      .brief = "Whole images through an encoder and a classifier: one score per class, to train both or to evaluate them.",
      .scope = Scope::device,
      .details =
          "All patches enter. With train, gradients are recorded and a drop_path of the encoder acts, drawn from this node's random stream; without, "
          "neither. Scores are float32.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    Out<Logits> logits{"logits", "B classes."};
    void describe(auto& port) { port(image, logits); }
  };
  struct Params {
    Ref<VitResource> encoder;
    Ref<ClassifierResource> classifier;
    bool train = true;
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder.");
      param.reads("classifier", classifier, "The classifier behind it.");
      param("train", train, "Whether the scores are trained on; false in evaluations.");
    }
  };
  Params params;

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return params.train && params.encoder->vit.config().drop_path > 0 ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor& images = port.image->images_BCHW;
    const model::Vit& encoder = params.encoder->vit;
    const at::AutoGradMode gradients(params.train);
    Tensor drop_path;
    if (params.train) drop_path = model::draw_drop_path(encoder.config(), context.rng(), images.size(0));
    if (drop_path.defined()) drop_path = send(drop_path, images.device());
    port.logits->values_BC = model::classify(encoder, params.classifier->classifier, images, drop_path);
  }
};

FLOWRUN_NODE(Classify);

}  // namespace
}  // namespace flowrun
