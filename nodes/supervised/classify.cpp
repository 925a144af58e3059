#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/classifier.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

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
    Out<Vectors> logits{"logits", "B classes."};
    void describe(auto& port) { port(image, logits); }
  };
  struct Params {
    Ref<model::Encoder> encoder;
    Ref<model::Classifier> classifier;
    std::string statistics = "auto";
    bool train = true;
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder.");
      param.reads("classifier", classifier, "The classifier behind it.");
      param("train", train, "Whether the scores are trained on; false in evaluations.");
      param("statistics", statistics, model::statistics_choices(), model::statistics_brief);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.encoder, params.encoder.names[0]);
    if (params.classifier->in_width() != params.encoder->shape().width) {
      plan.fault("classifier",
                 params.encoder.names[0] + " has width " + std::to_string(params.encoder->shape().width) + ", but " + params.classifier.names[0] +
                     " takes " + std::to_string(params.classifier->in_width()),
                 "\"encoder\" of " + params.classifier.names[0] + " must name " + params.encoder.names[0]);
    }
    const auto cost = [&encoder = *params.encoder, &head = *params.classifier, element = plan.group.element](const MaskCounts&) {
      const model::Pass pass{.whole = true, .element = element};
      Cost cost = encoder.cost(pass).value_or(Cost());
      cost += head.cost(pass).value_or(Cost());
      return cost;
    };
    plan.passes.push_back({params.encoder.names[0], params.train, cost});
    plan.out["logits"] = Vectors::planned(plan.group.images, static_cast<double>(params.classifier->out_width()));
  }

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return (params.train && params.encoder->drops()) || measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const Tensor& images = port.image->images_BCHW;
    const model::Encoder& encoder = *params.encoder;
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    model::EncodeOptions options{.norm = model::norm_pass(measures(), context), .drop_path = {}};
    if (params.train) options.drop_path = model::draw_drop_path(encoder, context, images.size(0), images.device());
    *port.logits = {.values_nD = model::classify(encoder, *params.classifier, images, options), .views = port.image->views, .images = images.size(0)};
  }

 private:
  bool measures() const { return model::measures(*params.encoder, params.statistics, params.train); }
};

FLOWRUN_NODE(Classify);

}  // namespace
}  // namespace flowrun
