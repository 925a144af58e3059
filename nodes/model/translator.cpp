#include "graph/node.h"
#include "nodes/lib/tensor/model/factors.h"
#include "nodes/lib/tensor/model/model_params.h"
#include "nodes/lib/tensor/model/staged.h"

namespace flowrun {
namespace {

struct TranslatorModel {
  static constexpr ModelInfo info{
      .type = "model.translator",
      .brief = "From the map of a student's stage to factors like those of its teacher's paraphraser: the translator of factor transfer.",
      .kind = "factors",
      .details =
          "Three 3x3 convolutions, of which the second makes the factors' channels, each with a leaky ReLU. maps.factors applies it; the optimizer "
          "that trains the student must list it. Convolutions start as He et al. 2015 over the fan-out."};
  struct Params {
    Ref<model::Encoder> of;
    Ref<model::Factors> to;
    int64_t stage = 1;
    bool norm = true;
    void describe(auto& param) {
      param.reads("of", of, "The student; its stage gives the channels of the map.");
      param.reads("to", to, "The model.paraphraser; gives the channels of the factors.");
      param.required("stage", stage, positive, "Stage of the student; 1 is the stem.");
      param("norm", norm, "Whether a batch norm stands behind each convolution.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto translator = std::make_unique<model::Factors>(model::FactorsConfig{.stage = params.stage,
                                                                            .in = model::channels_of(*params.of, params.stage, params.of.names[0]),
                                                                            .out = params.to->config().out,
                                                                            .norm = params.norm});
    begin(*translator, context);
    return translator;
  }
};

FLOWRUN_MODULE(TranslatorModel);

}  // namespace
}  // namespace flowrun
