#include "nodes/lib/tensor/model/codebook.h"

#include <ATen/ops/index_put.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/writable.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct FitCodebook {
  static constexpr NodeInfo info{
      .type = "train.codebook",
      .brief = "Fits a codebook to rows of values: one step of mini-batch k-means for each step.",
      .scope = Scope::step,
      .details =
          "Each row goes to the nearest centre as the step before left it; then each centre moves to the mean of all rows that it ever stood for "
          "(Sculley, 2010). Centres without any row are put on rows of the step's first group: all of them in the first step, so this group needs at "
          "least as many rows as there are codes. Sums are float64, over all groups and ranks."};
  struct Ports {
    In<Target> target{"target", "Rows of F values, as mim.pixel_targets gives them."};
    void describe(auto& port) { port(target); }
  };
  struct Params {
    Ref<model::Codebook> codebook;
    void describe(auto& param) { param.writes("codebook", codebook, "The model.codebook to fit."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_writable(plan, *params.codebook, "codebook", params.codebook.names[0]);
    const Cost cost = params.codebook->cost_of(plan.known("target"), plan.group.images);
    plan.passes.push_back({params.codebook.names[0], /*gradient=*/false, [cost](const MaskCounts&) { return cost; }});
    plan.require_width("target", params.codebook->width(), params.codebook.names[0], "set \"width\" of " + params.codebook.names[0]);
  }

  void fold(Ports& port, const FoldContext& context) {
    const Tensor rows_nF = port.target->ready().detach().flatten(0, 2);
    model::Codebook& codebook = *params.codebook;
    if (!sums_.defined()) {
      sums_ = at::zeros({codebook.codes(), codebook.width()}, rows_nF.options().dtype(at::kDouble));
      counts_ = at::zeros({codebook.codes()}, sums_.options());
    }
    const Tensor codes_n = codebook.nearest(rows_nF);
    // index_put_ adds in a fixed order on a GPU, too.
    sums_.index_put_({codes_n}, rows_nF.to(at::kDouble), /*accumulate=*/true);
    counts_.index_put_({codes_n}, at::ones_like(codes_n).to(at::kDouble), /*accumulate=*/true);
    if (context.run.rank == 0 && !first_.defined()) first_ = rows_nF.clone();
  }

  void run(Ports&, StepContext& context) {
    const Tensor first = ranks::rows(context.run, first_, "the rows for new centres");
    if (first.size(0) < params.codebook->codes()) {
      throw FatalNodeError("the first group has " + std::to_string(first.size(0)) + " rows, but " + params.codebook.names[0] + " has " +
                           std::to_string(params.codebook->codes()) + " codes: make batch.stack's group larger, or fewer codes");
    }
    const Tensor sums = ranks::sum(context.run, sums_, "the sums of the codebook"), counts = ranks::sum(context.run, counts_, "its counts");
    params.codebook->move(sums.to(first.device()), counts.to(first.device(), at::kLong), first);
    sums_.reset(), counts_.reset(), first_.reset();
  }

 private:
  Tensor sums_, counts_;  // [K, F] and [K] of the step's groups so far
  Tensor first_;          // rows of the step's first group
};

FLOWRUN_NODE(FitCodebook);

}  // namespace
}  // namespace flowrun
