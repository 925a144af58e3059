#include "nodes/lib/tensor/target/past.h"

#include <ATen/ops/index_select.h>
#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/model/memory.h"
#include "nodes/lib/tensor/target/labels.h"
#include "nodes/lib/tensor/types/device_ids.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct PastTargets {
  static constexpr NodeInfo info{
      .type = "targets.past",
      .brief = "Labels softened by the probabilities that the network gave the same sample when it last saw it: PS-KD.",
      .scope = Scope::device,
      .details =
          "(1 - a) x the label + a x the remembered probabilities, where a = alpha x epoch / epochs, counted from 1: the network is trusted "
          "more the longer it has trained (Kim et al., 2021). A sample that was not seen before has its label alone.",
      .repeats = true};
  struct Ports {
    In<DeviceIds> ids{"ids", "From device.ids."};
    In<DeviceLabels> label{"label", "Classes."};
    Out<SoftLabels> soft_label{"soft_label", "B classes; rows sum to 1."};
    void describe(auto& port) { port(ids, label, soft_label); }
  };
  struct Params {
    Ref<model::Memory> memory;
    double alpha = 0.8;
    void describe(auto& param) {
      param.reads("memory", memory, "The model.memory.");
      param("alpha", alpha, Range{0, 1}, "Share of the past in the last epoch.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "ids", &Planned::views, "label", "both must come from the same batch");
    const auto classes = static_cast<double>(params.memory->classes());
    plan.out["soft_label"] = Planned::of({plan.group.images, classes}, "float32", 4);
    plan.out["soft_label"].width = classes, plan.out["soft_label"].views = plan.known("label").views;
  }

  void open(const OpenContext& context) { model::require_samples(context, *params.memory, params.memory.names[0]); }

  int64_t variant(const GroupContext& context) const { return epoch(context); }

  void run(Ports& port, const GroupContext& context) const {
    supervised::check_labels(*port.label, params.memory->classes());
    const Tensor past_nC = at::index_select(params.memory->probabilities_MC(), 0, port.ids->ids);
    const double epochs = static_cast<double>(context.run.total_steps) / static_cast<double>(per_epoch(context));
    const double share = params.alpha * std::min(1.0, static_cast<double>(epoch(context)) / epochs);
    port.soft_label->values_BC = target::with_past(past_nC, port.label->labels_B, share);
    port.soft_label->weight_B.reset();
    port.soft_label->views = 1;
  }

 private:
  static int64_t per_epoch(const GroupContext& context) { return std::max<int64_t>(context.run.steps_per_epoch, 1); }
  /// From 1.
  static int64_t epoch(const GroupContext& context) { return 1 + (context.run.schedule_step(context.step) - 1) / per_epoch(context); }
};

FLOWRUN_NODE(PastTargets);

}  // namespace
}  // namespace flowrun
