#include "nodes/lib/tensor/model/regressor.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"
#include "nodes/lib/tensor/model/staged.h"

namespace flowrun {
namespace {

struct RegressorModel {
  static constexpr ModelInfo info{
      .type = "model.regressor",
      .brief = "From the maps of a student's stage to maps like those of a teacher's: 1x1 convolutions.",
      .kind = "regressor",
      .details =
          "maps.regress applies it. As in FitNets: one convolution, batch norm and relu. For VID: layers 3, norm and relu false, variance true; "
          "loss.vid reads the variances. Convolutions start as He et al. 2015 over the fan-out; the last one has a bias where no norm follows."};
  struct Params {
    Ref<model::Encoder> of, to;
    int64_t stage = 1, to_stage = 0, layers = 1;
    bool norm = true, relu = true, variance = false;
    void describe(auto& param) {
      param.reads("of", of, "The student; its stage gives the channels that come in.");
      param.reads("to", to, "The teacher; its stage gives the channels that come out.");
      param.required("stage", stage, positive, "Stage of the student; 1 is the stem.");
      param("to_stage", to_stage, not_negative, "Stage of the teacher; 0: the same.");
      param("layers", layers, Range{1, 16}, "How many convolutions, with relu between them.");
      param("norm", norm, "Whether a batch norm stands behind the last one.");
      param("relu", relu, "Whether it ends in a relu, as the teacher's stages do.");
      param("variance", variance, "Whether each channel has a variance that is learned (VID).");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const int64_t to_stage = params.to_stage > 0 ? params.to_stage : params.stage;
    auto regressor = std::make_unique<model::Regressor>(model::RegressorConfig{.stage = params.stage,
                                                                               .to_stage = to_stage,
                                                                               .in = model::channels_of(*params.of, params.stage, params.of.names[0]),
                                                                               .out = model::channels_of(*params.to, to_stage, params.to.names[0]),
                                                                               .layers = params.layers,
                                                                               .norm = params.norm,
                                                                               .relu = params.relu,
                                                                               .variance = params.variance});
    begin(*regressor, context);
    return regressor;
  }
};

FLOWRUN_MODULE(RegressorModel);

}  // namespace
}  // namespace flowrun
