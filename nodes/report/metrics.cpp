#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "graph/contract/period.h"
#include "graph/contract/ranks.h"
#include "graph/node.h"
#include "io/run/run_directory.h"
#include "io/run/tensorboard.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/device/read_back.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/report/write_checkpoint.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

struct Metrics {
  static constexpr NodeInfo info{
      .type = "report.metrics",
      .brief = "Writes loss, ledger, throughput and what other nodes report: metrics.jsonl, and events for TensorBoard.",
      .scope = Scope::step,
      .details =
          "The loss is the mean over the groups of the step that is reported, with one value per predicted block. The ledger is a hash of every "
          "random decision in the step's data: two runs whose ledgers agree saw the same bytes. With several ranks loss, ledger and rate are those "
          "of all; slowest_rank is the one the others waited for. On a GPU a line is written one step later, or before a checkpoint, so that the "
          "device need not wait for the host.",
      .moment = Moment::write};
  struct Ports {
    In<Loss> loss{"loss", "The loss to report.", optional};
    In<ImageBatch> image{"image", "In a pipeline that only loads data: the batches to count.", optional};
    void describe(auto& port) { port(loss, image); }
  };
  struct Params {
    std::string every = "20 steps";
    bool tensorboard = true;
    void describe(auto& param) {
      param.incidental()("every", every, "How often: \"20 steps\", \"1 epoch\". The last step of a run is reported, too.");
      param("tensorboard", tensorboard, "Whether to write an event file too.");
    }
    std::optional<ParamFault> check() const {
      if (!Period::parse(every)) return ParamFault{"every", Period::fault("every", every)};
      return {};
    }
  };
  Params params;

  void open(const OpenContext& context) {
    // A run that continues from a checkpoint assumes that the lines up to its step are written.
    before_checkpoint_.emplace(context.run, [this, name = context.name] {
      try {
        settle();
      } catch (const NodeError& error) {
        throw NodeError(name + ": " + error.what());
      }
    });
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
    add(loss_, port.loss->reported());
    if (port.loss->per_part.defined()) add(per_part_, port.loss->per_part);
    parts_ = port.loss->parts;
  }

  void run(Ports&, StepContext& context) {
    if (last_seconds_ < 0) last_seconds_ = 0, last_images_ = (context.first_step - 1) * context.run.batch;
    std::optional<Line> line;
    const bool last = context.step == context.run.last_step;
    if (last || Period::parse(params.every)->due(context.step, context.run)) line = begin_line(context);
    settle();
    waiting_ = std::move(line);
    // The device has the work of the next step by the time its values are asked for, unless there is no next step.
    if (waiting_ && (!waiting_->put_off() || last)) settle();
    for (const auto& [name, value] : std::exchange(found_, {})) context.report(name, value);
    loss_.reset(), per_part_.reset();
  }

  void finish(StepContext&) { settle(); }

 private:
  /// The values known at the step itself: values from the device follow later.
  struct Line {
    const RunInfo* run;
    int64_t step;
    double epoch, rate, time;
    Reports reports;
    nlohmann::ordered_json more;  // ledger, rate and ranks, in their order
    std::vector<int64_t> parts;
    std::unique_ptr<ReadBack> losses;  // their mean, then that of each part; null: there are none
    bool put_off() const { return losses && losses->waits(); }
  };

  Line begin_line(const StepContext& context) {
    const double seconds = context.seconds - last_seconds_;
    const double rate = seconds > 0 ? static_cast<double>(context.images - last_images_) / seconds : 0;
    last_seconds_ = context.seconds, last_images_ = context.images;
    char ledger[17];
    std::snprintf(ledger, sizeof ledger, "%016llx", static_cast<unsigned long long>(context.ledger));
    Line line{.run = &context.run,
              .step = context.step,
              .epoch = context.epoch,
              .rate = rate,
              .time = now(),
              .reports = context.reports,
              .more = {{"ledger", ledger}, {"images_per_second", rate}},
              .parts = parts_};
    line.losses = read_losses(context);  // in the list above clang's analyser takes it for a leak
    compare_ranks(context, line.more);
    return line;
  }

  std::unique_ptr<ReadBack> read_losses(const StepContext& context) const {
    if (!has_value_) {
      throw NodeError("the loss has no value at step " + std::to_string(context.step) +
                      ": let value_every of loss.mse and every of this node be the same");
    }
    if (!loss_.defined()) return nullptr;
    std::vector<Tensor> values = {loss_.to(at::kDouble).view({1})};
    if (per_part_.defined()) values.push_back(per_part_.to(at::kDouble));
    return std::make_unique<ReadBack>(at::cat(values));
  }

  /// Writes the line that waits, if one does.
  void settle() {
    if (!waiting_) return;
    Line line = std::move(*waiting_);
    waiting_.reset();
    // If only this rank has failed, the others no longer add up the loss with it.
    if (line.losses && (line.run->ranks == nullptr || line.run->ranks->together())) add_losses(line);
    nlohmann::ordered_json out = {{"step", line.step}, {"epoch", line.epoch}};
    if (const auto loss = line.reports.find("loss"); loss != line.reports.end()) out["loss"] = loss->second;
    out.update(line.more);
    for (const auto& [name, value] : line.reports) out.emplace(name, value);
    if (lines_) lines_->append(out);
    if (!events_) return;
    events_->scalar("images_per_second", line.step, static_cast<float>(line.rate), line.time);
    for (const auto& [name, value] : line.reports) events_->scalar(name, line.step, static_cast<float>(value), line.time);
  }

  void add_losses(Line& line) {
    const std::string of = line.put_off() ? " of step " + std::to_string(line.step) : "";
    const Tensor means = ranks::sum(*line.run, line.losses->values(), "adding up the loss").div(line.run->ranks ? line.run->world : 1);
    const double* const mean = means.const_data_ptr<double>();
    if (!std::isfinite(mean[0])) throw NodeError("the loss" + of + " is " + std::to_string(mean[0]));
    const auto found = [&](const std::string& name, double value) { line.reports[name] = found_[name] = value; };
    found("loss", mean[0]);
    for (int64_t i = 1; i < means.numel(); ++i) found("loss_block_" + std::to_string(line.parts[static_cast<size_t>(i - 1)]), mean[i]);
  }

  /// The rank that the others waited for since the last report, and how much more time it needed than the mean.
  void compare_ranks(const StepContext& context, nlohmann::ordered_json& line) {
    if (context.run.ranks == nullptr) return;
    const double own = context.view.own_seconds();
    const Tensor mine = at::zeros({context.run.world}, at::kDouble);
    mine[context.run.rank].fill_(own - std::exchange(last_own_, own));
    const Tensor all = ranks::sum(context.run, mine, "comparing the ranks' speed");
    const double mean = all.mean().item<double>();
    line["slowest_rank"] = all.argmax().item<int64_t>();
    if (mean > 0) line["slowest_to_mean"] = all.max().item<double>() / mean;
  }

  std::optional<io::JsonLines> lines_;
  std::shared_ptr<io::EventWriter> events_;
  std::optional<BeforeCheckpoint> before_checkpoint_;
  std::optional<Line> waiting_;
  Reports found_;  // read since the last step, and not reported yet
  Tensor loss_, per_part_;
  bool has_value_ = true;
  std::vector<int64_t> parts_;
  double last_seconds_ = -1, last_own_ = 0;
  int64_t last_images_ = 0;
};

FLOWRUN_NODE(Metrics);

}  // namespace
}  // namespace flowrun
