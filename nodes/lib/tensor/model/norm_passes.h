// The common part of nodes that run models with batch norms.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "graph/contract/context.h"
#include "graph/contract/params.h"
#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"

namespace flowrun::model {

/// The parameter "statistics" of such nodes.
const Choices& statistics_choices();
inline constexpr const char* statistics_brief =
    "Of batch norms. view: those of each view of the group, separately. batch: those of all its views together. running: those of the model. auto: "
    "view where train is true, else running.";

/// Whether passes of a node with these parameters measure statistics. A frozen model never does.
bool measures(Module& model, const std::string& statistics, bool train);

/// Parts of a group with batch statistics of their own, as groups on several GPUs have them.
struct Splits {
  int64_t count = 1;
  bool shuffle = false;
  void describe(auto& param) {
    param("splits", count, Range{1, 65536}, "Parts of the group whose batch statistics are taken apart, as on so many GPUs.");
    param("shuffle", shuffle, "Whether pictures go to these parts in random order, so that a key can't be told by its statistics (MoCo).");
  }
  std::optional<ParamFault> check() const {
    if (shuffle && count == 1) return ParamFault{"shuffle", "shuffle has no effect on one part; set splits to 2 or more"};
    return {};
  }
  /// A fault of groups that can't be cut so.
  void plan(NodePlan& plan) const;
};

/// The parameters of a node that takes its input through a model with batch norms.
struct PassParams {
  std::string statistics = "auto";
  bool train = true;
  void describe(auto& param) {
    param("train", train, "Whether the output is trained on; false for teachers and targets.");
    param("statistics", statistics, statistics_choices(), statistics_brief);
  }
};

/// The pass of a node over this group: with run.pass "rank" it takes the statistics of all ranks together.
NormPass norm_pass(bool measures, const GroupContext& context);
/// The stochastic depth of a pass over so many images or masks of this group, on their device; undefined where nothing is dropped. Each
/// part of the group draws its own.
Tensor draw_drop_path(const Encoder& encoder, const GroupContext& context, int64_t images, at::Device device);

/// The rows of `x` (row = picture * views + view) through `pass`: together, or, where the pass measures, each view separately, in
/// `splits` parts; in the order of `x`. `views` is 1 where views are taken together.
Tensor for_each_view(const Tensor& x, int64_t views, bool measures, const GroupContext& context,
                     const std::function<Tensor(const Tensor&, const NormPass&)>& pass, const Splits& splits = {});

/// For a step node that writes to these models: keeps from now on what passes measure, and moves running statistics behind a step.
void collect_statistics(Module& model);
void settle_statistics(Module& model, const RunInfo& run);

}  // namespace flowrun::model
