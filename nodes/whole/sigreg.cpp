#include <ATen/ops/empty.h>

#include "graph/node.h"
#include "nodes/lib/tensor/loss/coupled.h"
#include "nodes/lib/tensor/loss/coupling.h"
#include "nodes/lib/tensor/loss/view_loss.h"

namespace flowrun {
namespace {

struct Sigreg : loss::CoupledNode {
  static constexpr NodeInfo info{
      .type = "whole.sigreg",
      .brief = "Distance of the embeddings from a standard normal distribution, and of views from their picture's mean: LeJEPA.",
      .scope = Scope::whole,
      .details =
          "(1 - lambda) x the mean squared distance of each view from its picture's mean + lambda x SIGReg. SIGReg projects the rows of each view "
          "on random directions, drawn once a step, the same on all ranks, and compares the characteristic function of each projection with "
          "that of a standard normal distribution at 17 points of [0, 3]: the Epps-Pulley test, times the pictures of the step. No teacher, no "
          "stopped gradient."};
  struct Params {
    double lambda = 0.02;
    int64_t directions = 256;
    void describe(auto& param) {
      param("lambda", lambda, Range{0, 1}, "Share of SIGReg; the views have the rest.");
      param("directions", directions, Range{1, 65536}, "How many directions a step draws.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    loss::plan_gathered(plan, {"vectors"});
    if (params.lambda < 1 && plan.known("vectors").views == 1) {
      plan.fault("vectors", "one view of a picture comes in, so no views can agree", "set count of image.random_crop to 2 or more, or lambda to 1");
    }
  }

  void run(const WholeContext& context) {
    coupling_.run(
        context, [&](const std::vector<Tensor>& z) { return loss::lejepa(z[0], coupling_.views(), directions(z[0], context.rng()), params.lambda); });
  }

 private:
  /// [D, directions], columns of length 1.
  Tensor directions(const Tensor& z_nD, Rng rng) const {
    const Tensor random = at::empty({z_nD.size(1), params.directions});
    float* const at = random.mutable_data_ptr<float>();
    for (int64_t i = 0; i < random.numel(); ++i) at[i] = static_cast<float>(rng.normal());
    return random.div(random.norm(2, {0}, /*keepdim=*/true)).to(z_nD.options());
  }
};

FLOWRUN_NODE(Sigreg);

}  // namespace
}  // namespace flowrun
