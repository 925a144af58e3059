#include "nodes/lib/tensor/model/memory.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct MemoryModel {
  static constexpr ModelInfo info{
      .type = "model.memory",
      .brief = "The probabilities that a network gave to the classes of each sample when it last saw it: PS-KD's past.",
      .kind = "memory",
      .details =
          "A row of the head's classes for each sample of the training source, float32: together they must fit into run.memory_mib. "
          "train.remember writes the rows, targets.past reads them. A step reads what the steps before left. Saved in checkpoints and equal "
          "on all ranks."};
  struct Params {
    Ref<model::Head> of;
    int64_t samples = 1;
    void describe(auto& param) {
      param.reads("of", of, "The head whose scores are remembered; gives the classes.");
      param.required("samples", samples, Range{1, 1e10}, "How many the training source has.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto memory = std::make_unique<model::Memory>(params.samples, params.of->out_width());
    begin(*memory, context);
    return memory;
  }
};

FLOWRUN_MODULE(MemoryModel);

}  // namespace
}  // namespace flowrun
