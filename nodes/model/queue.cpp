#include "nodes/lib/tensor/model/queue.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct QueueModel {
  static constexpr ModelInfo info{.type = "model.queue",
                                  .brief = "The keys of the last steps, as negatives of a contrastive loss: MoCo's queue.",
                                  .kind = "queue",
                                  .details =
                                      "Random rows of length 1 at first; train.enqueue replaces the oldest, loss.info_nce reads all. A step reads "
                                      "the rows of the step before, so "
                                      "its own keys are never among its negatives. Saved in checkpoints and equal on all ranks."};
  struct Params {
    Ref<model::Head> of;
    int64_t rows = 65536;
    void describe(auto& param) {
      param.reads("of", of, "The head that makes the keys; gives the width.");
      param("rows", rows, Range{1, 1 << 26}, "How many keys; at least those of a step.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto queue = std::make_unique<model::Queue>(params.rows, params.of->out_width(), weight_seed(context));
    begin(*queue, context);
    return queue;
  }
};

FLOWRUN_MODULE(QueueModel);

}  // namespace
}  // namespace flowrun
