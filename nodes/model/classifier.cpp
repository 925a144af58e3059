#include "nodes/lib/tensor/model/classifier.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct ClassifierModel {
  static constexpr ModelInfo info{
      .type = "model.classifier",
      .brief = "A linear layer to classes, trained together with the encoder before it.",
      .kind = "classifier",
      .details =
          "mean: the patches' raw output of the encoder's last block is averaged and normalised by a layer norm of the classifier's own, in "
          "place of the encoder's final norm (MAE's fine-tuning; timm's fc_norm). cls: the class token after the encoder's final norm. The "
          "weights are initialised from N(0, (2e-5)²) as in MAE's fine-tuning (its linear probe has 0.01), so the first steps train the linear "
          "layer before they move the encoder; biases are initialised to 0. Saved as fc_norm and head, timm's names.",
      .also = "head"};
  struct Params {
    Ref<model::Encoder> encoder;
    int64_t classes = 0;
    std::string pool = "mean";
    double deviation = 2e-5;
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder before it; gives the width.");
      param.required("classes", classes, Range{1, 1000000}, "How many classes there are.");
      param("pool", pool, pools(), "mean: of the patches. cls: the class token.");
      param("deviation", deviation, Range{0, 1}, "Standard deviation of the initial weights.");
    }
    static const Choices& pools() {
      static const Choices choices = {"mean", "cls"};
      return choices;
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    require_classes(context.run, params.classes);
    const model::EncoderShape encoder = params.encoder->shape();
    if (params.pool == "cls" && !encoder.class_token) throw NodeError("pool is cls, but the encoder has no class token; set pool to mean");
    auto classifier = std::make_unique<model::Classifier>(model::ClassifierConfig{.classes = params.classes,
                                                                                  .width = encoder.width,
                                                                                  .pooling = model::pooling(params.pool),
                                                                                  .norm_eps = encoder.norm_eps,
                                                                                  .deviation = params.deviation});
    begin(*classifier, context);
    return classifier;
  }
};

FLOWRUN_MODULE(ClassifierModel);

}  // namespace
}  // namespace flowrun
