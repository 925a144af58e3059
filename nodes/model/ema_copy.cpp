#include "graph/node.h"
#include "nodes/lib/tensor/model/module.h"

namespace flowrun {
namespace {

struct EmaCopy {
  static constexpr ModelInfo info{.type = "model.ema_copy",
                                  .brief = "The teacher: a copy of another model, equal at first, which train.ema updates as its moving average.",
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
