#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "graph/node.h"
#include "graph/period.h"
#include "io/run_directory.h"
#include "io/tensorboard.h"
#include "nodes/device.h"
#include "nodes/host.h"
#include "nodes/ranks/ranks.h"

namespace flowrun {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

struct Metrics {
  static constexpr NodeInfo info{
      .type = "report.metrics",
      .brief = "Writes loss, ledger, throughput and what other nodes report: metrics.jsonl, and events for TensorBoard.",
      .scope = Scope::step,
      .details =
          "The loss is the mean over the groups of the step that is reported, with one value per predicted block. The ledger is a hash of all "
          "that was random in the step's data: two runs whose ledgers agree saw the same bytes. With several ranks loss, ledger and rate are those "
          "of all; slowest_rank is the one the others waited for.",
      .late = 2};
  struct Ports {
    In<Loss> loss{"loss", "The loss to report.", optional};
    In<ImageBatch> image{"image", "In a pipeline that only loads data: the batches to count.", optional};
    void describe(auto& port) { port(loss, image); }
  };
  struct Params {
    std::string every = "20 steps";
    bool tensorboard = true;
    void describe(auto& param) {
      param("every", every, "How often: \"20 steps\", \"1 epoch\".");
      param("tensorboard", tensorboard, "Whether to write an event file too.");
    }
    std::optional<ParamFault> check() const {
      if (!Period::parse(every)) return ParamFault{"every", Period::fault("every", every)};
      return {};
    }
  };
  Params params;

  void open(const OpenContext& context) {
    if (context.run.directory.empty()) return;
    const std::filesystem::path directory = context.run.directory;
    lines_.emplace(io::RunPaths(directory).metrics);
    if (params.tensorboard) events_ = io::shared_event_writer(directory, static_cast<int64_t>(now()));
  }

  void fold(Ports& port, const FoldContext& context) {
    if (!port.loss) return;
    has_value_ = port.loss->has_value;
    if (!has_value_) return;
    const at::NoGradGuard no_grad;
    const double share = 1.0 / static_cast<double>(context.count);
    const auto add = [&](Tensor& sum, const Tensor& value) {
      const Tensor part = value.detach().mul(share);
      sum = sum.defined() ? sum.add(part) : part;
    };
    add(loss_, port.loss->value);
    if (port.loss->per_part.defined()) add(per_part_, port.loss->per_part);
    parts_ = port.loss->parts;
  }

  void run(Ports&, StepContext& context) {
    if (last_seconds_ < 0) last_seconds_ = 0, last_images_ = (context.first_step - 1) * context.run.batch;
    if (Period::parse(params.every)->due(context.step, context.run.steps_per_epoch)) report(context);
    loss_.reset(), per_part_.reset();
  }

 private:
  void report(StepContext& context) {
    read_losses(context);
    const double seconds = context.seconds - last_seconds_;
    const double rate = seconds > 0 ? static_cast<double>(context.images - last_images_) / seconds : 0;
    last_seconds_ = context.seconds, last_images_ = context.images;
    nlohmann::ordered_json line = {{"step", context.step}, {"epoch", context.epoch}};
    if (const auto loss = context.reports.find("loss"); loss != context.reports.end()) line["loss"] = loss->second;
    char ledger[17];
    std::snprintf(ledger, sizeof ledger, "%016llx", static_cast<unsigned long long>(context.ledger));
    line["ledger"] = ledger;
    line["images_per_second"] = rate;
    compare_ranks(context, line);
    for (const auto& [name, value] : context.reports) line.emplace(name, value);
    if (lines_) lines_->append(line);
    if (!events_) return;
    const double time = now();
    events_->scalar("images_per_second", context.step, static_cast<float>(rate), time);
    for (const auto& [name, value] : context.reports) events_->scalar(name, context.step, static_cast<float>(value), time);
  }

  /// Which rank the others waited for since the last report, and how much more time it took than the mean.
  void compare_ranks(const StepContext& context, nlohmann::ordered_json& line) {
    if (context.run.ranks == nullptr) return;
    const double own = context.own_seconds(context.engine);
    const Tensor mine = at::zeros({context.run.world}, at::kDouble);
    mine[context.run.rank].fill_(own - std::exchange(last_own_, own));
    const Tensor all = ranks::sum(context.run, mine, "comparing the ranks' speed");
    const double mean = all.mean().item<double>();
    line["slowest_rank"] = all.argmax().item<int64_t>();
    if (mean > 0) line["slowest_to_mean"] = all.max().item<double>() / mean;
  }

  /// Waits for the device, once per report.
  void read_losses(StepContext& context) {
    if (!has_value_) {
      throw NodeError("the loss has no value at step " + std::to_string(context.step) +
                      ": let value_every of loss.mse and every of this node be the same");
    }
    if (!loss_.defined()) return;
    std::vector<Tensor> values = {loss_.to(at::kDouble).view({1})};
    if (per_part_.defined()) values.push_back(per_part_.to(at::kDouble));
    const Tensor means = ranks::sum(context.run, at::cat(values), "adding up the loss").div(context.run.ranks ? context.run.world : 1);
    const double* const mean = means.const_data_ptr<double>();
    const double loss = mean[0];
    if (!std::isfinite(loss)) throw NodeError("the loss is " + std::to_string(loss));
    context.report("loss", loss);
    if (!per_part_.defined()) return;
    for (size_t i = 0; i < parts_.size(); ++i) context.report("loss_block_" + std::to_string(parts_[i]), mean[i + 1]);
  }

  std::optional<io::JsonLines> lines_;
  std::shared_ptr<io::EventWriter> events_;
  Tensor loss_, per_part_;
  bool has_value_ = true;
  std::vector<int64_t> parts_;
  double last_seconds_ = -1, last_own_ = 0;
  int64_t last_images_ = 0;
};

FLOWRUN_NODE(Metrics);

}  // namespace
}  // namespace flowrun
