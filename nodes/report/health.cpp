#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graph/contract/period.h"
#include "graph/node.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "io/run/tensorboard.h"
#include "nodes/lib/tensor/metric/health_math.h"
#include "nodes/lib/tensor/metric/histogram.h"
#include "nodes/lib/tensor/model/rows.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/report/write_checkpoint.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Health {
  static constexpr NodeInfo info{
      .type = "report.health",
      .brief = "Watches for collapse: whether the features of different images are becoming the same.",
      .scope = Scope::step,
      .details =
          "The loss alone is not enough: a collapsed student also has a small loss. Over all images of a step the node measures, of the mean of "
          "each image's visible patches, the standard deviation over images, the effective rank (RankMe, Garrido et al., 2023) and the mean "
          "cosine between images; of vectors the same, of the first view of each picture, as rows of length sqrt(d); of soft labels the "
          "entropy of their mean and their mean entropy, as shares of log K; of prediction and target, the cosine between their rows, and the "
          "targets' standard deviation over images. They "
          "are reported as NAME_std, NAME_rank, NAME_cosine, NAME_mean_entropy, NAME_entropy, NAME_agreement and NAME_target_std, where NAME is the "
          "node's, with NAME_ok 1 or 0; "
          "report.metrics writes them. The log has a line when the verdict changes. At the first collapse collapse-step-N.json is written, with "
          "the values and the step's samples; the models at that moment are saved under collapse/step-N. With several masks per image each "
          "counts as an image. With histograms the event file for TensorBoard gets, of each reported step, NAME_features and NAME_targets: how the "
          "values of what is measured are spread, of at most four million values. Only the steps that it reports on cost anything.",
      .moment = Moment::report};
  struct Ports {
    In<Loss> loss{"loss", "The verdict includes its value per block.", optional};
    In<VisibleTokens> tokens{"tokens", "The student's view of the visible patches.", optional};
    In<Vectors> vectors{"vectors", "Vectors of pictures, in place of tokens: an encoder's, or a projector's.", optional};
    In<SoftLabels> soft_label{"soft_label", "The teacher's soft labels of the pictures.", optional};
    In<Prediction> prediction{"prediction", "Compared with the target.", optional};
    In<Target> target{"target", "What is predicted.", optional};
    void describe(auto& port) { port(loss, tokens, vectors, soft_label, prediction, target); }
  };
  struct Params {
    std::string every = "100 steps";
    int64_t from = 0;
    bool histograms = false;
    double min_std = 0.01, min_rank = 2, max_cosine = 0.99, min_target_std = 0.01, min_loss = 1e-3;
    double min_mean_entropy = 0.1, max_entropy = 0.99;
    void describe(auto& param) {
      param.incidental()("every", every, "How often: \"100 steps\", \"1 epoch\".");
      param("from", from, not_negative, "The first step to judge: fresh encoders see all images as similar.");
      param("histograms", histograms, "Whether the event file for TensorBoard gets histograms of the features and the targets.");
      // A final norm gives features a scale of 1: a hundredth of it is what rounding in bf16 leaves.
      param("min_std", min_std, not_negative, "Least standard deviation of the features over images.");
      // Equal rows have rank 1. Any two groups of images that are told apart make it 2.
      param("min_rank", min_rank, not_negative, "Least effective rank of the features.");
      param("max_cosine", max_cosine, Range{-1, 1}, "Largest mean cosine between the features of different images.");
      param("min_target_std", min_target_std, not_negative, "Least standard deviation of the targets over images.");
      param("min_mean_entropy", min_mean_entropy, Range{0, 1},
            "Least entropy of the mean soft label, as a share of log K: below it all pictures are called the same.");
      param("max_entropy", max_entropy, Range{0, 1}, "Largest mean entropy of soft labels, as a share of log K: above it they say nothing.");
      // Standardised targets have variance 1; no image can be predicted to a thousandth of it from its other half.
      param("min_loss", min_loss, not_negative, "Least loss of a block: below it, its target counts as constant. 0: the loss is not checked.");
    }
    std::optional<ParamFault> check() const {
      if (!Period::parse(every)) return ParamFault{"every", Period::fault("every", every)};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    if (plan.in.empty()) plan.fault("", "there is nothing to watch", "connect tokens, vectors, soft_label, prediction and target, or loss");
    if (plan.in.contains("tokens") && plan.in.contains("vectors")) {
      plan.fault("vectors", "tokens and vectors are both connected", "watch them by two nodes");
    }
    if (plan.in.contains("prediction") && !plan.in.contains("target")) {
      plan.fault("prediction", "a prediction is compared with its target", "connect target too");
    }
  }

  void open(const OpenContext& context) {
    name_ = context.name;
    if (params.histograms && !context.run.directory.empty()) events_ = io::shared_event_writer(context.run.directory, static_cast<int64_t>(now()));
  }

  void fold(Ports& port, const FoldContext& context) {
    if (!due(context.step, context.run)) return;
    const at::NoGradGuard no_grad;
    if (port.tokens) features_.push_back(port.tokens->patch_BKD.detach().to(at::kFloat).mean(1));
    if (port.vectors) features_.push_back(of_pictures(*port.vectors));
    if (port.soft_label) watch(port.soft_label->values_BC.detach());
    if (port.target) targets_.push_back(port.target->ready().detach().to(at::kFloat).mean(at::IntArrayRef{1, 2}));
    if (port.prediction) agreements_.push_back(health::agreement(port.prediction->values.detach(), port.target->ready().detach()).view({1}));
    if (port.loss && port.loss->per_part.defined()) losses_.push_back(port.loss->per_part.detach().unsqueeze(0)), blocks_ = port.loss->parts;
  }

  bool reads(const FoldContext& context) const { return due(context.step, context.run); }

  void run(Ports&, StepContext& context) {
    if (!due(context.step, context.run)) return;
    const at::NoGradGuard no_grad;
    gather(context.run);
    const health::Values values = measure();
    draw("_features", features_, values.std, context.step), draw("_targets", targets_, values.target_std, context.step);
    features_.clear(), targets_.clear(), agreements_.clear(), losses_.clear(), mean_labels_.clear(), entropies_.clear();
    const auto report = [&](const char* what, const std::optional<double>& value) {
      if (value) context.report(name_ + what, *value);
    };
    report("_std", values.std), report("_rank", values.rank), report("_cosine", values.cosine);
    report("_mean_entropy", values.mean_entropy), report("_entropy", values.entropy);
    report("_agreement", values.agreement), report("_target_std", values.target_std);
    if (context.step < params.from) return;
    const auto found = health::findings(values, {params.min_std, params.min_rank, params.max_cosine, params.min_target_std, params.min_loss,
                                                 params.min_mean_entropy, params.max_entropy});
    // The verdict of rank 0: all ranks act on it together.
    const int64_t verdict = ranks::most(context.run, context.run.rank > 0 ? 0 : found.empty() ? healthy : collapsing, "the verdict");
    context.report(name_ + "_ok", verdict == healthy ? 1 : 0);
    judge(verdict, values, found, context);
  }

  State save() const {
    auto copy = std::make_shared<std::array<int64_t, 2>>(judged_);
    return {{"judged", {"I64", {2}, copy, sizeof judged_}}};
  }
  void restore(const State& state) {
    const auto found = state.find("judged");
    if (found == state.end() || found->second.bytes != sizeof judged_)
      throw NodeError("the checkpoint's state of it is damaged, or of another version");
    std::memcpy(judged_.data(), found->second.data.get(), sizeof judged_);
  }

 private:
  bool due(int64_t step, const RunInfo& run) const { return Period::parse(params.every)->due(step, run); }

  /// The first view of each picture, or all rows of tokens, as rows of length sqrt(d).
  static Tensor of_pictures(const Vectors& vectors) {
    const Tensor rows = vectors.values_nD.detach().to(at::kFloat);
    const Tensor first = vectors.image_n.defined() ? rows : rows.unflatten(0, {-1, vectors.views}).select(1, 0);
    return model::unit_rows(first).mul(std::sqrt(static_cast<double>(first.size(1))));
  }

  void watch(const Tensor& soft_BK) {
    mean_labels_.push_back(soft_BK.mean(0, /*keepdim=*/true));
    entropies_.push_back(health::entropies(soft_BK).mean().view({1}));
  }

  /// The images of all ranks, in the order of the step.
  void gather(const RunInfo& run) {
    if (run.ranks == nullptr) return;
    for (auto* const groups : {&features_, &targets_, &agreements_, &losses_, &mean_labels_, &entropies_}) {
      if (!groups->empty()) *groups = {ranks::rows(run, *groups, "gathering what is watched")};
    }
  }

  static std::optional<double> std_of(const std::vector<Tensor>& groups) {
    const Tensor all = at::cat(groups);
    if (all.size(0) < 2) throw NodeError("a step of one image can't be watched: make batch.stack's size larger");
    return health::mean_std(all);
  }

  health::Values measure() const {
    health::Values out;
    if (!features_.empty()) {
      const Tensor all = at::cat(features_);
      out.std = std_of(features_);
      out.most_rank = static_cast<double>(std::min(all.size(0), all.size(1)));
      // Features that are not finite have no singular values; std reports the fault.
      out.rank = std::isfinite(*out.std) ? health::effective_rank(all) : 0;
      out.cosine = health::mean_cosine(all);
    }
    if (!mean_labels_.empty()) {
      out.mean_entropy = health::entropies(at::cat(mean_labels_).mean(0, /*keepdim=*/true)).item<double>();
      out.entropy = at::cat(entropies_).mean().item<double>();
    }
    if (!targets_.empty()) out.target_std = std_of(targets_);
    if (!agreements_.empty()) out.agreement = at::cat(agreements_).mean().item<double>();
    if (!losses_.empty()) {
      const Tensor losses = at::cat(losses_).to(at::kCPU, at::kDouble).mean(0);
      out.block_losses.assign(losses.const_data_ptr<double>(), losses.const_data_ptr<double>() + losses.numel());
      out.blocks = blocks_;
    }
    return out;
  }

  static double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

  /// Values that are not finite have no histogram; their standard deviation reports the fault.
  void draw(const char* what, const std::vector<Tensor>& groups, const std::optional<double>& std, int64_t step) const {
    if (!events_ || !std || !std::isfinite(*std)) return;
    const Tensor all = at::cat(groups);
    constexpr int64_t most = int64_t{1} << 22;
    events_->histogram(name_ + what, step, health::histogram(all.slice(0, 0, std::max<int64_t>(1, most / all.size(1)))), now());
  }

  static std::string summary(const health::Values& v) {
    std::string out;
    const auto add = [&](const char* format, auto... values) {
      char text[64];
      std::snprintf(text, sizeof text, format, values...);
      out += (out.empty() ? "" : ", ") + std::string(text);
    };
    if (v.std) add("std %.2g", *v.std), add("rank %.3g of %.0f", *v.rank, v.most_rank), add("cosine %.3g", *v.cosine);
    if (v.entropy) add("entropy %.3g of labels, %.3g of their mean", *v.entropy, *v.mean_entropy);
    if (v.agreement) add("agreement %.3g", *v.agreement);
    if (v.target_std) add("target std %.2g", *v.target_std);
    return out.empty() ? "losses only" : out;
  }

  /// Logs when the verdict differs from the last one.
  void judge(int64_t verdict, const health::Values& values, const std::vector<std::string>& found, StepContext& context) {
    if (verdict == judged_[0]) return;
    judged_[0] = verdict;
    const std::string at = ", step " + std::to_string(context.step);
    if (verdict == healthy) return log_info(name_ + ": healthy (" + summary(values) + ")" + at);
    log_info(name_ + ": collapsing: " + join(found, "; ") + at +
             "\n  the usual cures: a teacher that moves more slowly (train.ema's decay), targets from several blocks, a lower lr.max or a longer "
             "warm-up, masks whose targets are farther from what is visible (flowrun mask-report)");
    if (judged_[1] == 0) keep(values, found, context);
    judged_[1] = 1;
  }

  /// Writes the files to inspect afterwards.
  void keep(const health::Values& values, const std::vector<std::string>& found, const StepContext& context) const {
    const std::filesystem::path root = context.run.directory, checkpoint = write_checkpoint(root / "collapse", context, NotFinite::keep);
    if (checkpoint.empty()) return;
    nlohmann::ordered_json out = {{"step", context.step}, {"epoch", context.epoch}, {"findings", found}};
    const auto put = [&](const char* key, const std::optional<double>& value) {
      if (value) out[key] = *value;
    };
    put("std", values.std), put("rank", values.rank), put("cosine", values.cosine);
    put("mean_entropy", values.mean_entropy), put("entropy", values.entropy);
    put("agreement", values.agreement), put("target_std", values.target_std);
    for (size_t i = 0; i < values.blocks.size(); ++i) out["loss_block_" + std::to_string(values.blocks[i])] = values.block_losses[i];
    out["checkpoint"] = std::filesystem::relative(checkpoint, root).string();
    for (const StepSample& s : context.view.samples(context.step)) out["samples"].push_back(s.key);
    io::write_file_atomic(root / ("collapse-step-" + std::to_string(context.step) + ".json"), json_text(out, 2) + "\n");
  }

  static constexpr int64_t healthy = 1, collapsing = 2;
  std::string name_;
  std::shared_ptr<io::EventWriter> events_;
  std::vector<Tensor> features_, targets_, agreements_, losses_, mean_labels_, entropies_;  // of the step's groups
  std::vector<int64_t> blocks_;
  std::array<int64_t, 2> judged_{};  // the last verdict (0: none yet), and whether a collapse was kept
};

FLOWRUN_NODE(Health);

}  // namespace
}  // namespace flowrun
