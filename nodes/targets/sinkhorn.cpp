#include "nodes/lib/tensor/target/sinkhorn.h"

#include <ATen/core/grad_mode.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/optim/value.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Sinkhorn {
  static constexpr NodeInfo info{
      .type = "targets.sinkhorn",
      .brief = "Scores as targets that give each prototype an equal share of the step's pictures: SwAV, DINOv2, CAPI.",
      .scope = Scope::whole,
      .details =
          "exp(scores / temperature) over all rows of the step, on all ranks; then several times: each prototype's column is divided by its sum, "
          "each "
          "row by its own. After few iterations shares are only about equal. Ranks exchange the columns' sums, in float64, added in the order of "
          "groups: the targets don't depend on the number of ranks. Rows of earlier steps count in the shares of prototypes and get no target: "
          "SwAV's queue, for steps that have fewer pictures than prototypes. No gradient."};
  struct Ports {
    In<Vectors> vectors{"vectors", "n K: scores."};
    In<Vectors> earlier{"earlier", "Scores of earlier rows, equal in all groups and on all ranks: of vectors.queued.", optional};
    Out<SoftLabels> soft_label{"soft_label", "n K; rows sum to 1."};
    void describe(auto& port) { port(vectors, earlier, soft_label); }
  };
  struct Params {
    std::string scope = "all";
    train::Value temperature{0.05, Range{1e-4, 100}};
    int64_t iterations = 3;
    void describe(auto& param) {
      param("temperature", temperature, temperature.range, "SwAV 0.05, CAPI 0.06; DINOv2 as its centering, 0.04 to 0.07.");
      param("iterations", iterations, positive, "How often columns and rows are divided.");
      param("scope", scope, scopes(),
            "Among which rows shares are equal. all: those of the step. view: those of one view of all pictures (SwAV). group: of each group. "
            "position: those of one place in all pictures, where pictures have equally many rows (CAPI).");
    }
    static const Choices& scopes() {
      static const Choices choices = {"all", "view", "group", "position"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("vectors");
    plan.require_equal("width", "vectors", &Planned::width, "earlier");
    if (params.scope == "view") plan.require_equal("number of views", "vectors", &Planned::views, "earlier");
    plan.out["soft_label"] = Planned::of({in.rows > 0 ? in.rows : plan.group.images, in.width}, "float32", 4);
    plan.out["soft_label"].width = in.width, plan.out["soft_label"].rows = in.rows;
    // The sums of positions are not known before rows come.
    if (params.scope != "group") plan.gathered = 8 * in.width * static_cast<double>(params.iterations);
  }

  void fold(Ports& port, const FoldContext& context) {
    const Vectors& in = *port.vectors;
    if (context.index == 0) begin(port);
    if (params.scope == "position") positions_ = positions(in);
    if (params.scope == "view") positions_ = views(in);
    scores_.push_back(in.values_nD.detach());
  }

  void run(const WholeContext& context) {
    const target::SinkhornOptions options{params.temperature.at(context.step, context.run), params.iterations, positions_};
    try {
      if (params.scope == "group") {
        for (Tensor& scores : scores_)
          scores = target::sinkhorn(
              {scores}, options, [](const Tensor& own) { return own; }, earlier_)[0];
      } else {
        const auto gather = [&](const Tensor& own) { return ranks::device_rows(context.run, own, "the shares of prototypes"); };
        scores_ = target::sinkhorn(scores_, options, gather, earlier_);
      }
      earlier_.reset();
    } catch (const std::invalid_argument& error) {
      throw NodeError(error.what());
    }
  }

  void give(Ports& port, const FoldContext& context) {
    *port.soft_label = {.values_BC = std::exchange(scores_[static_cast<size_t>(context.index)], {}), .weight_B = {}, .views = views_};
  }

 private:
  void begin(const Ports& port) {
    scores_.clear(), earlier_.reset(), views_ = port.vectors->views, positions_ = 1;
    if (port.earlier) earlier_ = port.earlier->values_nD.detach();
  }
  static int64_t views(const Vectors& in) {
    if (in.image_n.defined()) throw NodeError("vectors are rows of patches, which have no views: scope can't be view");
    return in.views;
  }
  static int64_t positions(const Vectors& in) {
    const int64_t rows = in.values_nD.size(0);
    if (in.images == 0 || rows % in.images != 0) {
      throw NodeError(std::to_string(in.images) + " pictures have " + std::to_string(rows) + " rows, so not equally many: scope can't be position");
    }
    return rows / in.images;
  }

  std::vector<Tensor> scores_;  // of each group; then its targets
  Tensor earlier_;
  int64_t views_ = 1, positions_ = 1;
};

FLOWRUN_NODE(Sinkhorn);

}  // namespace
}  // namespace flowrun
