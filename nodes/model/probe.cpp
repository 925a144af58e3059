#include "nodes/lib/tensor/model/probe.h"

#include "graph/node.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct ProbeModel {
  static constexpr ModelInfo info{
      .type = "model.probe",
      .brief = "Classifiers on a frozen encoder: one head for each pair of learning rate and decay, trained side by side.",
      .kind = "probe",
      .details =
          "linear: batch norm without affine (eps 1e-6, momentum 0.1) and a linear layer, weights normal 0.01 (MAE). attentive: V-JEPA's attentive "
          "classifier of depth 1: y = q + attention(q, norm(x)) over all tokens, without output projection; y = y + mlp(norm(y)); a linear layer; "
          "weights normal 0.02, fc2 over sqrt(2). segment_linear: a linear layer on each patch token. segment_block: one transformer block over the "
          "patch tokens before that layer. All heads have the same initial weights. The grids are our choice where the paper gives only their size."};
  struct Params {
    Ref<model::Encoder> encoder;
    std::string kind = "linear";
    int64_t classes = 0, width = 0, heads = 0;
    double mlp_ratio = 4;
    std::vector<double> lrs, decays;
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder whose features come in; gives width and attention heads.");
      param("kind", kind, kinds(), "Kind of the heads.");
      param.required("classes", classes, Range{1, 1000000}, "How many classes there are.");
      param("width", width, Range{0, 65536}, "Width of the features; 0: the encoder's. Twice that for eval.features with pool cls_mean.");
      param("heads", heads, Range{0, 1024}, "Attention heads of attentive and segment_block; 0: the encoder's.");
      param("mlp_ratio", mlp_ratio, Range{0.25, 16}, "Width of the MLP over width of the tokens, for attentive and segment_block.");
      param("lrs", lrs, Range{1e-9, 1e3},
            "Learning rates of the heads. Empty: 3e-4, 1e-3, 3e-3, 1e-2, 3e-2 for linear; 5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3 for attentive; "
            "1e-4, 3e-4, 1e-3, 3e-3 for the segmenting kinds.");
      param("decays", decays, Range{0, 10},
            "Weight decays, each with each rate. Empty: 0, 5e-4, 1e-3, 1e-2, 5e-2 for linear; 5e-4, 1e-3, 2e-3, 4e-3, 8e-3 for attentive; "
            "0.01 for the segmenting kinds.");
    }
    static const Choices& kinds() {
      static const Choices choices = {"linear", "attentive", "segment_linear", "segment_block"};
      return choices;
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const model::EncoderShape encoder = params.encoder->shape();
    model::ProbeConfig config;
    config.kind = model::probe_kind(params.kind);
    const bool segments = config.kind == model::ProbeKind::segment_linear || config.kind == model::ProbeKind::segment_block;
    if (!segments) require_classes(context.run, params.classes);
    config.classes = params.classes;
    config.width = params.width > 0 ? params.width : encoder.width;
    config.attention_heads = params.heads > 0 ? params.heads : encoder.heads;
    config.mlp_ratio = params.mlp_ratio, config.norm_eps = encoder.norm_eps;
    config.lrs = params.lrs.empty() ? default_lrs() : params.lrs;
    config.decays = params.decays.empty() ? default_decays() : params.decays;
    auto probe = std::make_unique<model::Probe>(config);
    probe->initialise(weight_seed(context));
    probe->to(torch_device(context.run), at::kFloat);
    return probe;
  }

 private:
  std::vector<double> default_lrs() const {
    if (params.kind == "linear") return {3e-4, 1e-3, 3e-3, 1e-2, 3e-2};
    if (params.kind == "attentive") return {5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3};
    return {1e-4, 3e-4, 1e-3, 3e-3};
  }
  std::vector<double> default_decays() const {
    if (params.kind == "linear") return {0, 5e-4, 1e-3, 1e-2, 5e-2};
    if (params.kind == "attentive") return {5e-4, 1e-3, 2e-3, 4e-3, 8e-3};
    return {0.01};
  }
};

FLOWRUN_MODULE(ProbeModel);

}  // namespace
}  // namespace flowrun
