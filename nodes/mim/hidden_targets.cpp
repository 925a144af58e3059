#include <ATen/core/grad_mode.h>
#include <algorithm>
#include <map>
#include <optional>

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/target/normalised.h"
#include "nodes/lib/tensor/types/check_masks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/mask_rows.h"

namespace flowrun {
namespace {

const std::map<std::string, model::Tap> taps = {
    {"output", model::Tap::output}, {"middle", model::Tap::middle}, {"attention", model::Tap::attention}, {"mlp", model::Tap::mlp}};
const std::map<std::string, mim::Over> overs = {{"features", mim::Over::features}, {"tokens", mim::Over::tokens}, {"none", mim::Over::none}};
const std::map<std::string, mim::Merge> merges = {{"concat", mim::Merge::concat}, {"mean", mim::Merge::mean}, {"sum", mim::Merge::sum}};

template <class T>
const Choices& names(const std::map<std::string, T>& table) {
  static const Choices choices = [&] {
    Choices out;
    for (const auto& [name, value] : table) out.push_back(name);
    return out;
  }();
  return choices;
}

struct HiddenTargets {
  static constexpr NodeInfo info{
      .type = "mim.hidden_targets",
      .brief = "The teacher's hidden blocks at the target patches, standardised: what Bootleg's student predicts.",
      .scope = Scope::device,
      .details =
          "The teacher sees the whole image. The rows of the target patches of each block are z-scored per token in float32; the blocks are joined "
          "in increasing order. Blocks behind the last one asked for do not run. No gradient. The teacher may be any encoder whose grid of patches "
          "is the masks': a moving average of the student, or a frozen model.pretrained. I-JEPA's targets are the last block alone with norm_last. "
          "data2vec 2.0's are tap mlp, zscore.over tokens, merge mean, and zscore_merged.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The target regions."};
    Out<Target> target{"target",
                       "B R M O, O = blocks x width, or width when blocks are merged; pooled: B 1 1 O; or 1 1 n O of rows that the masks choose."};
    void describe(auto& port) { port(image, mask, target); }
  };
  struct ZScoreParams {
    double eps = 1e-5;
    bool unbiased = false;
    std::string over = "features";
    void describe(auto& param) {
      param("eps", eps, Range{0, 1}, "Added to the variance.");
      param("unbiased", unbiased, "Variance over n - 1 instead of n.");
      param("over", over, names(overs), "features: each token separately. tokens: each feature over the patches of its image. none: as it is.");
    }
  };
  struct Params : TargetRows {
    Ref<model::Encoder> model;
    std::vector<int64_t> blocks;
    ZScoreParams zscore;
    std::string tap = "output", merge = "concat";
    bool norm_last = false, zscore_merged = false, pooled = false, side_stream = true;
    void describe(auto& param) {
      param.reads("model", model, "The teacher.");
      param.required("blocks", blocks, positive, "Hidden blocks, 1-based and increasing: for ViT-S 1, 4, 8, 12.");
      param("tap", tap, names(taps),
            "What is read from a block. output: the residual stream after it. middle: the residual stream between attention and MLP. attention, mlp: "
            "what that half adds to the residual stream.");
      param("zscore", zscore, "Standardisation of each block.");
      param("merge", merge, names(merges), "concat: blocks side by side. mean, sum: of the blocks, element by element.");
      param("zscore_merged", zscore_merged, "Whether a mean or sum is z-scored per token once more.");
      param("norm_last", norm_last, "Whether the teacher's final layer norm is applied to its last block, as in I-JEPA.");
      param.incidental()("side_stream", side_stream,
                         "On a GPU: whether the teacher's work may run at the same time as the student's, or waits for its turn.");
      param("pooled", pooled, "Whether the target is the mean over all patches, for the class token's prediction (data2vec 2.0).");
      TargetRows::describe(param);
    }
    std::optional<ParamFault> check() const {
      if (blocks.empty()) return ParamFault{"blocks", "blocks must name at least one block"};
      for (size_t i = 1; i < blocks.size(); ++i) {
        if (blocks[i] <= blocks[i - 1]) return ParamFault{"blocks", "blocks must increase"};
      }
      if (norm_last && tap != "output") {
        return ParamFault{"norm_last", "norm_last requires \"tap\": \"output\": the final norm belongs behind the last block"};
      }
      if (pooled && !regions()) return ParamFault{"rows", "pooled makes one target of all patches, so rows has no effect: remove one"};
      if (zscore_merged && merge == "concat") return ParamFault{"zscore_merged", "zscore_merged requires \"merge\": \"mean\" or \"sum\""};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.model, params.model.names[0]);
    model::check_blocks(plan, *params.model, params.blocks, params.model.names[0]);
    model::check_grid(plan, params.model->shape().grid, params.model.names[0]);
    const model::EncoderShape shape = params.model->shape();
    const auto blocks = static_cast<double>(params.blocks.size()), width = static_cast<double>(shape.width);
    const double stream = 4 * static_cast<double>((shape.patches() + shape.prefix) * shape.width);
    const auto last_rows = [patches = static_cast<double>(shape.patches()), repeats = plan.group.repeats, context = params.rows == "context",
                            alone = params.regions() && stands_alone()](const MaskCounts& masks) {
      const double rows = repeats * (context ? masks.visible : masks.tokens());
      return alone ? std::min(rows, patches) : patches;
    };
    const bool mlp = params.tap == "output" || params.tap == "mlp";
    const auto cost = [&model = *params.model, last_rows, mlp, last = params.blocks.back(), held = stream * blocks,
                       element = plan.group.element](const MaskCounts& masks) {
      Cost cost = model.cost({.whole = true, .blocks = last, .last_rows = last_rows(masks), .last_mlp = mlp, .element = element}).value_or(Cost());
      cost.working += held;  // the blocks' outputs stay until the last one has run
      return cost;
    };
    plan.passes.push_back({params.model.names[0], /*gradient=*/false, cost});
    const double values = params.merge == "concat" ? blocks * width : width;
    Planned& target = plan.out["target"];
    target = params.pooled ? Planned::of({plan.group.rows, 1, 1, values}, "float32", 4) : params.planned(plan.group, values);
    target.width = values;
    if (params.merge == "concat") target.parts = params.blocks;
  }

  void open(const OpenContext&) {
    options_.zscore = {params.zscore.eps, params.zscore.unbiased, overs.at(params.zscore.over)};
    options_.merge = merges.at(params.merge);
    options_.zscore_merged = params.zscore_merged, options_.pooled = params.pooled;
  }

  void run(Ports& port, const GroupContext&) const {
    check_masks(*port.mask, params.model->shape().grid, params.model.names[0]);
    const at::NoGradGuard no_grad;
    const Tensor index = params.index(*port.mask);
    std::optional<SideStream> beside;
    if (params.side_stream) beside.emplace(port.image->images_BCHW.device(), std::vector{port.image->images_BCHW, index});
    port.target->values = targets(port.image->images_BCHW, index);
    if (beside) port.target->arrival = beside->arrival();
    port.target->parts = options_.merge == mim::Merge::concat ? params.blocks : std::vector<int64_t>{};
  }

 private:
  /// Whether what becomes of a patch depends on that patch alone.
  bool stands_alone() const { return params.zscore.over != "tokens" && !params.pooled; }

  Tensor targets(const Tensor& images_BCHW, const Tensor& index) const {
    const int64_t images = images_BCHW.size(0), patches = params.model->shape().patches();
    const model::Tap tap = taps.at(params.tap);
    // A patch of several regions counts as often: then all patches may be fewer.
    if (!stands_alone() || index.dim() != 3 || index.size(0) % images != 0 || index.numel() >= images * patches) {
      return mim::hidden_targets(params.model->hidden(images_BCHW, params.blocks, tap, params.norm_last), index, options_);
    }
    const Tensor rows_Bn = index.reshape({images, -1});
    const std::vector<Tensor> hidden = params.model->hidden_rows(images_BCHW, params.blocks, tap, params.norm_last, rows_Bn);
    return mim::hidden_targets(hidden, {}, options_).view({index.size(0), index.size(1), index.size(2), -1});
  }

  mim::TargetOptions options_;
};

FLOWRUN_NODE(HiddenTargets);

}  // namespace
}  // namespace flowrun
