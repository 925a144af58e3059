#include "graph/node.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun {
namespace {

struct EmaCopy {
  static constexpr ModelInfo info{.type = "model.ema_copy",
                                  .brief = "A copy of another model, equal at first, that train.ema moves along behind it: the teacher.",
                                  .kind = "",
                                  .details = "Never has gradients. Without a train.ema node it stays the initial copy."};
  struct Params {
    Ref<model::Module> of;
    void describe(auto& param) { param.reads("of", of, "The model to copy."); }
  };
  Params params;

  std::unique_ptr<Resource> open(const OpenContext&) { return params.of->clone(); }
};

FLOWRUN_MODEL(EmaCopy);

}  // namespace
}  // namespace flowrun
