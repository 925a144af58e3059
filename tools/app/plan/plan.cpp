#include "tools/app/plan/plan.h"

#include <algorithm>
#include <filesystem>

#include "graph/text/json_text.h"
#include "io/run/run_directory.h"
#include "tools/app/plan/devices.h"
#include "tools/app/plan/plan_facts.h"
#include "tools/app/plan/plan_time.h"
#include "tools/app/speed/study.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

constexpr double float_bytes = 4;

/// For a run directory: its pipeline, and its statistics in place of assumptions.
PlanArgs with_statistics(PlanArgs args) {
  if (!std::filesystem::is_directory(args.pipeline.file)) return args;
  const std::string run = args.pipeline.file;
  args.pipeline.file = io::RunPaths(run).pipeline.string();
  const auto found = study_of_run(run, args.pipeline.trust);
  if (!found) throw PipelineError("error: " + run + " has no statistics to plan from: is the run over, and did it report three times?");
  // On a GPU the device's thread is not busy while the GPU is: only the rate of the whole run is known.
  const bool on_cpu = found->on_host;
  if (args.device_rate == 0) args.device_rate = on_cpu ? 1 / found->times->device : found->whole.rate();
  // Busy data threads: waiting for files occupies a thread, too.
  if (args.cores_ms == 0) args.cores_ms = 1e3 * (found->times->host_cpu + found->times->host_waiting);
  return args;
}

class Plan {
 public:
  explicit Plan(const PlanArgs& args) : args_(args), device_(find_device(args.device)), facts_(args, device_.on_host ? "fp32" : "bf16") {
    groups_ = facts_.grouping.size / facts_.grouping.group;
    refuse_world();
    per_machine_ = args.per_node > 0 ? args.per_node : device_.per_machine;
    peak_ = 1e12 * (facts_.precision == "bf16" ? device_.bf16 : device_.fp32);
    forward_ = facts_.forward();
    backward_ = 2 * facts_.forward_trained();
    if (again()) forward_ += facts_.forward_trained();
    model_ = step_model();
    time_ = step_time(model_, args.world);
  }

  ordered_json json() const {
    ordered_json out = {{"pipeline", args_.pipeline.file}, {"world", args_.world}};
    out["machines"] = (args_.world + per_machine_ - 1) / per_machine_;
    out["device"] = device_json();
    out["groups"] = {{"images", facts_.grouping.group}, {"per_step", groups_}, {"per_rank", groups_ / args_.world}};
    out["samples"] = {{"source", facts_.source},
                      {"images", facts_.images},
                      {"from", facts_.images_from},
                      {"per_step", facts_.grouping.size},
                      {"per_rank", facts_.grouping.size / args_.world}};
    out["steps"] = {{"per_epoch", facts_.steps_per_epoch}, {"epochs", facts_.pipeline.run.epochs}, {"all", facts_.steps}};
    out["masks"] = masks_json();
    for (const PlannedPort& port : facts_.ports) {
      ordered_json line = {{"node", port.node}, {"port", port.port}, {"type", port.type}, {"shape", port.shape}};
      if (port.bytes >= 0) line["bytes"] = port.bytes;
      out["ports"].push_back(std::move(line));
    }
    for (const PlannedModel& model : facts_.models) {
      out["models"].push_back({{"name", model.name}, {"type", model.type}, {"parameters", model.parameters}, {"trained", model.trained}});
    }
    out["operations"] = operations_json();
    out["memory"] = memory_json();
    out["checkpoint_bytes"] =
        float_bytes * static_cast<double>(facts_.parameters()) + float_bytes * facts_.states * static_cast<double>(facts_.trained());
    out["exchange"] = {{"bytes", model_.gradient_bytes}, {"gb_per_second", bandwidth() / 1e9}, {"seconds", time_.exchange}, {"hidden", time_.hidden}};
    out["step"] = {
        {"seconds", time_.total()}, {"passes", time_.compute}, {"update", time_.update},       {"exchange", time_.exchange - time_.hidden},
        {"rows", time_.rows},       {"gather", time_.gather},  {"agreement", time_.agreement}, {"waits_for_input", time_.total() - time_.device()}};
    const double rate = static_cast<double>(facts_.grouping.size) / time_.total();
    out["images_per_second"] = rate;
    out["hours_per_epoch"] = static_cast<double>(facts_.steps_per_epoch) * time_.total() / 3600;
    out["hours"] = static_cast<double>(facts_.steps) * time_.total() / 3600;
    out["efficiency"] = efficiency(model_, args_.world);
    out["input"] = input_json(rate);
    out["breaks_first"] = breaks_first(out["memory"]);
    out["notes"] = notes();
    return out;
  }

 private:
  void refuse_world() const {
    if (groups_ % args_.world == 0) return;
    std::vector<std::string> worlds;
    for (const int64_t world : worlds_of(groups_)) worlds.push_back(std::to_string(world));
    const int64_t size = facts_.grouping.size;
    std::string text = "error: " + std::to_string(args_.world) + " ranks can't share the " + std::to_string(groups_) + " groups of " + facts_.stack +
                       " (" + std::to_string(size) + " images in groups of " + std::to_string(facts_.grouping.group) + "): " + join(worlds) + " can";
    if (size % args_.world == 0) {
      text += "; with --set " + facts_.stack + ".group=" + std::to_string(size / args_.world) + " there is a group for each";
    } else {
      text += "; " + facts_.stack + ".size must be a multiple of the ranks";
    }
    throw PipelineError(text);
  }

  double cores() const { return args_.cores > 0 ? args_.cores : device_.cores; }

  double bandwidth() const {
    if (args_.bandwidth > 0) return 1e9 * args_.bandwidth;
    return 1e9 * (args_.world <= per_machine_ ? device_.link_gbs : device_.net_gbs);
  }

  StepModel step_model() const {
    const auto trained = static_cast<double>(facts_.trained());
    StepModel out;
    out.batch = static_cast<double>(facts_.grouping.size), out.group = static_cast<double>(facts_.grouping.group);
    // AdamW reads weight, gradient and two moments and writes three of them; an average reads two and writes one.
    out.optimizer_seconds = 7 * float_bytes * trained / (1e9 * device_.memory_gbs);
    out.update_seconds = out.optimizer_seconds + 3 * float_bytes * averaged() / (1e9 * device_.memory_gbs);
    out.seconds_per_image = (forward_ + backward_) / (peak_ * args_.utilisation);
    // A measured rate includes the update.
    if (args_.device_rate > 0) out.seconds_per_image = std::max(0.0, 1 / args_.device_rate - out.update_seconds / out.batch);
    out.backward_share = backward_ / std::max(1.0, forward_ + backward_);
    out.gradient_bytes = float_bytes * trained;
    out.row_bytes = facts_.gathered * static_cast<double>(groups_);
    out.link = out.net = bandwidth();
    if (args_.bandwidth == 0) out.link = 1e9 * device_.link_gbs, out.net = 1e9 * device_.net_gbs;
    out.latency = 1e-6 * args_.latency;
    out.per_machine = per_machine_;
    out.sharded = facts_.sharded;
    if (args_.cores_ms > 0) out.host_images = cores() / (1e-3 * args_.cores_ms);
    if (args_.storage > 0 && facts_.file_bytes && facts_.reads_storage) out.storage_images = 1e6 * args_.storage / *facts_.file_bytes;
    return out;
  }

  /// Parameters of models that follow others.
  double averaged() const {
    double sum = 0;
    for (const CheckedNode& node : facts_.pipeline.nodes) {
      for (const ModelUse& use : node.uses) {
        const PlannedModel& model = facts_.models[static_cast<size_t>(use.model)];
        if (node.scope() == Scope::step && use.access == Models::Access::writes && model.trained == 0) sum += static_cast<double>(model.parameters);
      }
    }
    return sum;
  }

  ordered_json device_json() const {
    ordered_json out = {{"name", device_.name},        {"what", device_.what},    {"precision", facts_.precision}, {"tera_operations", peak_ / 1e12},
                        {"per_machine", per_machine_}, {"source", device_.source}};
    if (args_.device_rate > 0) {
      out["images_per_second"] = args_.device_rate;
    } else {
      out["utilisation"] = args_.utilisation;
    }
    return out;
  }

  ordered_json masks_json() const {
    if (facts_.mask_node.empty()) return nullptr;
    const auto count = static_cast<double>(facts_.masks.groups.size());
    double visible = 0, patches = 0;
    for (const MaskSizes::Group& group : facts_.masks.groups) {
      visible += static_cast<double>(group.visible) / count, patches += static_cast<double>(group.patches) / count;
    }
    return {{"node", facts_.mask_node},
            {"visible", visible},
            {"regions", facts_.masks.groups[0].regions},
            {"patches", patches},
            {"per_image", facts_.masks.repeats},
            {"groups_drawn", facts_.masks.groups.size()}};
  }

  ordered_json operations_json() const {
    ordered_json out = {{"per_image", forward_ + backward_}, {"forward", forward_}, {"backward", backward_}, {"passes", ordered_json::array()}};
    for (const PlannedPass& pass : facts_.passes) {
      const double forward = pass.forward();
      out["passes"].push_back({{"node", pass.node}, {"model", pass.model}, {"forward", forward}, {"backward", pass.trained ? 2 * forward : 0}});
    }
    return out;
  }

  ordered_json memory_json() const {
    const auto trained = static_cast<double>(facts_.trained()), all = static_cast<double>(facts_.parameters());
    ordered_json out = {{"weights", float_bytes * trained},
                        {"frozen_weights", float_bytes * (all - trained)},
                        {"gradients", float_bytes * trained},
                        {"buckets", args_.world > 1 ? float_bytes * trained : 0},
                        {"moments", float_bytes * facts_.states * static_cast<double>(facts_.kept(args_.world))},
                        {"activations", facts_.activations() * static_cast<double>(groups_kept())}};
    double sum = 0;
    for (const auto& [name, bytes] : out.items()) sum += bytes.get<double>();
    out["all"] = sum;
    out["device"] = 1e9 * device_.memory_gb;
    out["fits"] = sum <= 0.9e9 * device_.memory_gb;  // a tenth for kernels, libraries and fragments
    return out;
  }

  bool again() const { return !facts_.whole.empty() && facts_.pipeline.run.coupling == "again"; }
  /// Groups whose passes are in memory at once: all of a rank, where a loss over the whole batch waits for them.
  int64_t groups_kept() const { return facts_.whole.empty() || again() ? 1 : groups_ / args_.world; }

  ordered_json input_json(double rate) const {
    const double machines = std::max(1.0, static_cast<double>(args_.world) / static_cast<double>(per_machine_));
    ordered_json out = {{"images_per_second_per_machine", rate / machines}, {"from_storage", facts_.reads_storage}};
    if (facts_.file_bytes) out["file_bytes"] = *facts_.file_bytes, out["bytes_per_second_per_machine"] = rate / machines * *facts_.file_bytes;
    if (args_.cores_ms > 0) out["cores_ms"] = args_.cores_ms, out["cores_per_machine"] = rate / machines * 1e-3 * args_.cores_ms;
    out["cores_there"] = cores();
    if (args_.storage > 0) out["storage_there"] = 1e6 * args_.storage;
    return out;
  }

  std::string breaks_first(const ordered_json& memory) const {
    const auto percent = [](double share) { return print("%.0f %%", 100 * share); };
    if (!memory["fits"].get<bool>()) {
      return print("memory: a rank needs %.1f GB, and the device has %.0f, of which a tenth should stay free: make ",
                   memory["all"].get<double>() / 1e9, device_.memory_gb) +
             (facts_.pipeline.run.pass == "rank" ? "the batch smaller, take more ranks" : facts_.stack + ".group smaller") +
             ", or use a device with more";
    }
    if (const Loss loss = largest_loss(model_, args_.world); loss.share > 0.1) {
      return loss.what + ": at " + std::to_string(args_.world) + " ranks " + percent(loss.share) + " of a step goes there";
    }
    for (const int64_t world : worlds_of(groups_)) {
      const Loss loss = largest_loss(model_, world);
      if (world > args_.world && loss.share > 0.1) {
        return loss.what + ", but not here: at " + std::to_string(world) + " ranks " + percent(loss.share) + " of a step goes there";
      }
    }
    return "the groups: nothing else takes a tenth of a step up to " + std::to_string(groups_) +
           " ranks, which have one group each; more ranks need smaller groups or a larger batch";
  }

  std::vector<std::string> notes() const {
    std::vector<std::string> out = facts_.notes;
    if (args_.device_rate == 0) {
      out.push_back("the device's speed is assumed: " + print("%.0f %%", 100 * args_.utilisation) +
                    " of its maker's peak; measure it there with flowrun profile, and give it as --device-rate");
    }
    const double tokens =
        static_cast<double>(facts_.grouping.group) * (facts_.masks.groups[0].visible > 0 ? static_cast<double>(facts_.masks.groups[0].visible) : 196);
    if (args_.device_rate == 0 && !device_.on_host && tokens < 4096) {
      out.push_back(print("a group has about %.0f tokens of the student, too few to fill a GPU: such a utilisation is not reached", tokens));
    }
    for (const CheckedNode& node : facts_.pipeline.nodes) {
      if (node.scope() != Scope::evaluation) continue;
      out.emplace_back("evaluations are not counted");
      break;
    }
    if (groups_kept() > 1) {
      out.push_back(facts_.whole + " waits for all groups of a step, so the passes of " + std::to_string(groups_kept()) +
                    " groups are in memory at once; with --set run.coupling=again of one, for about a third more time");
    }
    out.emplace_back("the cost of reports and checkpoints is not counted");
    return out;
  }

  PlanArgs args_;
  const DeviceFacts& device_;
  PlanFacts facts_;
  int64_t groups_ = 0, per_machine_ = 1;
  double peak_ = 0, forward_ = 0, backward_ = 0;
  StepModel model_;
  StepTime time_;
};

}  // namespace

ordered_json plan(const PlanArgs& args) { return Plan(with_statistics(args)).json(); }

}  // namespace flowrun::app
