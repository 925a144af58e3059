#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/model/factors.h"
#include "nodes/lib/tensor/model/model_params.h"
#include "nodes/lib/tensor/model/staged.h"

namespace flowrun {
namespace {

struct ParaphraserModel {
  static constexpr ModelInfo info{
      .type = "model.paraphraser",
      .brief = "From the map of a teacher's stage to factors of fewer channels, and back: the paraphraser of factor transfer.",
      .kind = "factors",
      .details =
          "Three 3x3 convolutions, of which the second makes the factors' channels, and three back, each with a leaky ReLU. It learns to rebuild "
          "the map before the student trains; then it is frozen. maps.factors applies it. Convolutions start as He et al. 2015 over the fan-out."};
  struct Params {
    Ref<model::Encoder> of;
    int64_t stage = 1;
    double share = 0.5;
    bool norm = false;
    void describe(auto& param) {
      param.reads("of", of, "The teacher; its stage gives the channels of the map.");
      param.required("stage", stage, positive, "Stage of the teacher; 1 is the stem.");
      param("share", share, Range{1e-6, 1}, "Channels of the factors, as a share of the map's.");
      param("norm", norm, "Whether a batch norm stands behind each convolution.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const int64_t channels = model::channels_of(*params.of, params.stage, params.of.names[0]);
    const auto factors = static_cast<int64_t>(static_cast<double>(channels) * params.share);
    auto paraphraser = std::make_unique<model::Factors>(
        model::FactorsConfig{.stage = params.stage, .in = channels, .out = std::max<int64_t>(factors, 1), .norm = params.norm, .rebuilds = true});
    begin(*paraphraser, context);
    return paraphraser;
  }
};

FLOWRUN_MODULE(ParaphraserModel);

}  // namespace
}  // namespace flowrun
