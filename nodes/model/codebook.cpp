#include "nodes/lib/tensor/model/codebook.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct CodebookModel {
  static constexpr ModelInfo info{
      .type = "model.codebook",
      .brief = "Centres of k-means that give a row of values a code: the nearest one's number. BEiT's tokenizer, where no trained one is there.",
      .kind = "codebook",
      .details =
          "train.codebook fits it, in a run of its own whose file then is \"weights\" here; targets.codes reads it. The first centres are random "
          "normal numbers, which already make a codebook of standardised patches. It has no parameters, is saved in checkpoints, and is equal on "
          "all ranks."};
  struct Params {
    int64_t codes = 8192, width = 768;
    void describe(auto& param) {
      param("codes", codes, Range{2, 1 << 24}, "How many codes there are.");
      param("width", width, positive, "Values of a row: 768 for pixels of 16x16 patches.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto codebook = std::make_unique<model::Codebook>(params.codes, params.width, weight_seed(context));
    begin(*codebook, context);
    return codebook;
  }
};

FLOWRUN_MODULE(CodebookModel);

}  // namespace
}  // namespace flowrun
