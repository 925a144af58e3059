#include "nodes/lib/tensor/model/bank.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct BankModel {
  static constexpr ModelInfo info{
      .type = "model.bank",
      .brief = "A row of the student and one of the teacher for each sample of the source, as each last saw it: CRD's memory.",
      .kind = "bank",
      .details =
          "Random rows at first; together they must fit into run.memory_mib. loss.crd reads them, train.bank moves them. A step reads what "
          "the step before left. Saved in checkpoints and equal on all ranks."};
  struct Params {
    Ref<model::Head> of;
    int64_t samples = 1;
    void describe(auto& param) {
      param.reads("of", of, "The head that makes the student's rows; gives the width.");
      param.required("samples", samples, Range{1, 1e10}, "How many the training source has.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto bank = std::make_unique<model::Bank>(params.samples, params.of->out_width(), weight_seed(context));
    begin(*bank, context);
    return bank;
  }
};

FLOWRUN_MODULE(BankModel);

}  // namespace
}  // namespace flowrun
