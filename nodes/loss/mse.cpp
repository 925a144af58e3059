#include "graph/contract/period.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/compare.h"

namespace flowrun {
namespace {

struct MseParams : loss::Weighting {
  std::string value_every = "1 step";
  void describe(auto& param) {
    param("value_every", value_every,
          "At which steps the loss has a value: \"20 steps\", and at the run's last; at the others it has a gradient only.");
    Weighting::describe(param);
  }
  std::optional<ParamFault> check() const {
    if (!Period::parse(value_every)) return ParamFault{"value_every", Period::fault("value_every", value_every)};
    return {};
  }
};

struct Mse : loss::Compare<Mse, MseParams> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.mse",
       .brief = "Mean squared error over all elements: every block, region and patch weighs the same.",
       .details =
           "In float32. The error of each block is reported beside it. With value_every, the other steps compute only the gradient, bit for bit the "
           "same: the squared differences are never computed. Metrics must then report at the same steps, and a loss that is not finite is "
           "noticed at the next of them."});
  static loss::Options options() { return {.kind = loss::Kind::mse}; }

  void open(const OpenContext&) { every_ = *Period::parse(params.value_every); }

  /// With and without its value.
  int64_t variant(const GroupContext& context) const {
    return context.step == context.run.last_step || every_.due(context.step, context.run) ? 1 : 0;
  }

  void run(Ports& port, const GroupContext& context) const {
    if (variant(context) == 1) return Compare::run(port, context);
    loss::check_pair(*port.prediction, *port.target);
    const double scale = loss::factor(params, port.target->values.size(-1));
    const Tensor root = loss::mse_without_value(port.prediction->values, port.target->ready());
    port.loss->value = scale == 1.0 ? root : root.mul(scale);
    port.loss->has_value = false;
    port.loss->parts.clear();
  }

 private:
  Period every_{1, false};
};

FLOWRUN_NODE(Mse);

}  // namespace
}  // namespace flowrun
