#include "graph/node.h"
#include "nodes/lib/tensor/model/mlp_head.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct HeadModel {
  static constexpr ModelInfo info{
      .type = "model.head",
      .brief = "A projector or predictor of self-supervised methods: linear layers, and prototypes where it ends in them.",
      .kind = "head",
      .details =
          "Between the layers stand norm and activation; behind the last one only last_norm. A layer before a batch norm has no bias. Batch norms "
          "take the statistics that head.apply says. With prototypes its rows get length 1 and a layer without bias "
          "gives a score for each prototype: of rows of length 1 times a gain (weight_norm, as in DINO), or of free rows (linear). The gains are 1 "
          "and constant unless gain_trained. A head applied by several nodes is shared. model.ema_copy copies it for a teacher."};
  struct Params {
    Ref<model::Module> of;
    std::vector<int64_t> layers;
    std::string activation = "relu", norm = "none", last_norm = "none", input_norm = "none", prototype_kind = "weight_norm", init = "torch";
    int64_t prototypes = 0, joined = 1;
    int64_t squeeze = 0;
    bool bias = true, last_bias = true, last_activation = false, gain_trained = false;
    void describe(auto& param) {
      param.reads("of", of, "The encoder, text tower or head before it; gives the width of the input.");
      param("joined", joined, positive, "How many of its vectors lie side by side in a row of the input: the views that vectors.join_views joins.");
      param.required("layers", layers, positive,
                     "Widths of the linear layers, the last one that of the output: [2048, 2048, 256] of DINO. []: the prototypes alone.");
      param("activation", activation, activations(), "Between layers; none: linear layers in a row, a bottleneck.");
      param("last_activation", last_activation, "Whether the activation stands behind the last layer, too (Franca).");
      param("squeeze", squeeze, not_negative,
            "Width of a linear layer in front of them, with neither norm nor activation: a level of Franca's nested heads; 0: there is none.");
      param("norm", norm, norms(), "Between layers, before the activation.");
      param("last_norm", last_norm, last_norms(),
            "Behind the last layer. batch_gain: without shifts (SimCLR). batch_plain: without gains and shifts.");
      param("input_norm", input_norm, input_norms(), "l2: rows of the input get length 1.");
      param("bias", bias, "Whether the linear layers have biases.");
      param("last_bias", last_bias, "Whether the last of them has.");
      param("prototypes", prototypes, not_negative, "How many scores a last layer gives; 0: there is none.");
      param("prototype_kind", prototype_kind, kinds(),
            "weight_norm: the prototypes are divided by their length. linear: any length. unit: they get length 1 after each update (SwAV).");
      param("gain_trained", gain_trained, "Whether the gains of weight_norm are trained, as in DINO's ViT-S.");
      param("init", init, inits(),
            "torch: uniform within 1 / sqrt(inputs). dino: normal with standard deviation 0.02, biases 0. normal: with standard deviation 1 (CAPI's "
            "clusters). scaled: "
            "with standard deviation 1 / sqrt(inputs) (CLIP).");
    }
    std::optional<ParamFault> check() const {
      if (layers.empty() && prototypes == 0) return ParamFault{"layers", "layers must name at least one width where there are no prototypes"};
      if (gain_trained && (prototypes == 0 || prototype_kind != "weight_norm")) {
        return ParamFault{"gain_trained", "gain_trained needs prototypes of the kind weight_norm"};
      }
      return {};
    }
    static const Choices& activations() {
      static const Choices choices = {"relu", "gelu", "none"};
      return choices;
    }
    static const Choices& norms() {
      static const Choices choices = {"none", "layer", "batch"};
      return choices;
    }
    static const Choices& last_norms() {
      static const Choices choices = {"none", "batch", "batch_gain", "batch_plain"};
      return choices;
    }
    static const Choices& input_norms() {
      static const Choices choices = {"none", "l2"};
      return choices;
    }
    static const Choices& kinds() {
      static const Choices choices = {"weight_norm", "linear", "unit"};
      return choices;
    }
    static const Choices& inits() {
      static const Choices choices = {"torch", "dino", "normal", "scaled"};
      return choices;
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto head = std::make_unique<model::MlpHead>(model::MlpHeadConfig{.in = params.joined * input_width(),
                                                                      .squeeze = params.squeeze,
                                                                      .layers = params.layers,
                                                                      .activation = activation(),
                                                                      .last_activation = params.last_activation,
                                                                      .norm = norm(),
                                                                      .input_unit = params.input_norm == "l2",
                                                                      .last_norm = last_norm(),
                                                                      .bias = params.bias,
                                                                      .last_bias = params.last_bias,
                                                                      .prototypes = params.prototypes,
                                                                      .prototype_kind = prototype_kind(),
                                                                      .gain_trained = params.gain_trained,
                                                                      .init = init()});
    begin(*head, context);
    return head;
  }

 private:
  model::HeadActivation activation() const {
    using enum model::HeadActivation;
    return params.activation == "gelu" ? gelu : params.activation == "none" ? none : relu;
  }
  model::HeadNorm norm() const {
    using enum model::HeadNorm;
    return params.norm == "layer" ? layer : params.norm == "batch" ? batch : none;
  }
  model::HeadInit init() const {
    using enum model::HeadInit;
    if (params.init == "scaled") return scaled;
    return params.init == "dino" ? dino : params.init == "normal" ? normal : torch;
  }
  model::Prototypes prototype_kind() const {
    using enum model::Prototypes;
    return params.prototype_kind == "unit" ? unit : params.prototype_kind == "linear" ? linear : weight_norm;
  }
  model::LastNorm last_norm() const {
    using enum model::LastNorm;
    if (params.last_norm == "batch_gain") return batch_gain;
    return params.last_norm == "batch" ? batch : params.last_norm == "batch_plain" ? batch_plain : none;
  }
  int64_t input_width() const {
    if (const std::optional<int64_t> width = params.of->vector_width()) return *width;
    throw NodeError("\"of\" must be an encoder, a text tower or a head, and " + params.of.names[0] + " is none");
  }
};

FLOWRUN_MODULE(HeadModel);

}  // namespace
}  // namespace flowrun
