#include "nodes/lib/tensor/model/counts.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct CountsModel {
  static constexpr ModelInfo info{
      .type = "model.counts",
      .brief = "The running share of each class among targets, by which rare ones can count more: colorization's histogram of colours.",
      .kind = "counts",
      .details =
          "Equal shares at first; train.count moves them, pretext.lab reads them. A step reads the value of the step before. It is saved in "
          "checkpoints and equal on all ranks."};
  struct Params {
    int64_t classes = 261;
    void describe(auto& param) { param("classes", classes, Range{1, 1000000}, "How many classes; 313 bins of colours of 10 units."); }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto counts = std::make_unique<model::Counts>(params.classes);
    begin(*counts, context);
    return counts;
  }
};

FLOWRUN_MODULE(CountsModel);

}  // namespace
}  // namespace flowrun
