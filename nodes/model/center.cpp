#include "nodes/lib/tensor/model/center.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct CenterModel {
  static constexpr ModelInfo info{
      .type = "model.center",
      .brief = "The running mean of a teacher's scores, which keeps one prototype from winning everywhere: DINO's center.",
      .kind = "center",
      .details =
          "Zeros at first; train.center moves it, targets.sharpen subtracts it. A step reads the value of the step before. It is saved in "
          "checkpoints and equal on all ranks."};
  struct Params {
    Ref<model::Head> of;
    void describe(auto& param) { param.reads("of", of, "The head whose scores it is the mean of; gives the width."); }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto center = std::make_unique<model::Center>(params.of->out_width());
    begin(*center, context);
    return center;
  }
};

FLOWRUN_MODULE(CenterModel);

}  // namespace
}  // namespace flowrun
