#include "nodes/lib/tensor/model/temperature.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct TemperatureModel {
  static constexpr ModelInfo info{
      .type = "model.temperature",
      .brief = "A learned temperature of a contrastive loss: one number, kept as the logarithm of the scale it gives.",
      .kind = "temperature",
      .details =
          "vectors.scale divides by it; an optimizer that names it trains it, with frozen it is constant. After each update it is brought back to "
          "the least value if it fell below. It has one axis, so that decay leaves it out."};
  struct Params {
    double initial = 0.07, least = 0.01;
    void describe(auto& param) {
      param("initial", initial, Range{1e-4, 100}, "Its first value; CLIP 0.07, ALIGN 1.");
      param("least", least, Range{1e-6, 100}, "It falls no lower; CLIP 0.01, which scales products by 100.");
    }
    std::optional<ParamFault> check() const {
      if (initial < least) return ParamFault{"initial", "initial must not be below least"};
      return {};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto temperature = std::make_unique<model::Temperature>(params.initial, params.least);
    begin(*temperature, context);
    return temperature;
  }
};

FLOWRUN_MODULE(TemperatureModel);

}  // namespace
}  // namespace flowrun
