#include "tools/app/run/disk.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "graph/contract/log.h"
#include "graph/contract/period.h"
#include "graph/text/error.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/model/module.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"
#include "tools/app/load/shapes.h"
#include "tools/app/run/look.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// Checkpoints of one run: the largest number during the run, and the number that stays.
struct Count {
  int64_t at_once = 0, stay = 0;
};

/// The largest number if the length of the run isn't known (`run` null).
Count count_checkpoints(const ordered_json& resolved, const RunInfo* run) {
  Count most;
  for (const auto& node : resolved.at("nodes")) {
    if (words_at(node, "type") != "report.checkpoint") continue;
    int64_t written = INT64_MAX;
    if (run != nullptr) {
      const auto every = Period::parse(words_at(node, "every"));
      const int64_t length = every ? every->length(*run) : 1, steps = length > 0 ? length : INT64_MAX;  // never: at the end alone
      written = std::max<int64_t>(1, run->last_step / steps + (run->last_step % steps == 0 ? 0 : 1));
    }
    const int64_t keep = node.value("keep", int64_t{1}), best = words_at(node, "best").empty() ? 0 : 1;
    most.at_once = std::max(most.at_once, std::min(keep + 1, written) + best);
    most.stay = std::max(most.stay, std::min(keep, written) + best);
  }
  return most;
}

double bytes_under(const fs::path& folder) {
  double sum = 0;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored)) sum += static_cast<double>(it->file_size(ignored));
  }
  return sum;
}

/// The free bytes on the disk of `folder`, which may not exist yet. None if unknown: some network disks don't tell.
std::optional<double> free_bytes(const fs::path& folder) {
  std::error_code error;
  fs::path there = fs::absolute(folder);
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  const fs::space_info space = fs::space(there, error);
  if (error || space.available == 0 || space.available == static_cast<std::uintmax_t>(-1)) return {};
  return static_cast<double>(space.available);
}

std::string size_text(double bytes) {
  const double mib = bytes / (1 << 20);
  return mib < 1024 ? print("%.1f MiB", mib) : print("%.1f GiB", mib / 1024);
}

constexpr const char* instead = " left: free some space, keep fewer (report.checkpoint's keep), or choose another --out";

/// The disk space of one variant's checkpoints.
struct Need {
  double one = 0;  // bytes of each
  Count count;
  double there = 0;  // bytes that an earlier part of its run has written
};

/// Bytes of a checkpoint, from the shapes of the models alone. None where a model doesn't tell its shapes.
std::optional<double> checkpoint_bytes(CheckedPipeline& pipeline) {
  const Silence silence;
  const auto resources = open_shapes(pipeline, [](const CheckedModel&, const std::exception&) {});
  std::vector<double> copies(resources.size(), 1);  // of the weights, and what an optimizer keeps of each
  if (std::find(resources.begin(), resources.end(), nullptr) != resources.end()) return {};
  for (const CheckedNode& node : pipeline.nodes) {
    for (const ModelUse& use : node.uses) {
      if (!node.type->stateful || use.access != Models::Access::writes) continue;
      NodePlan plan;
      node.node->plan(plan);
      copies[static_cast<size_t>(use.model)] = 1 + plan.states;
    }
  }
  double sum = 0;
  for (size_t m = 0; m < resources.size(); ++m) {
    const auto* const opened = dynamic_cast<model::Module*>(resources[m].get());
    if (opened == nullptr) return {};
    sum += static_cast<double>(opened->parameters().count()) * sizeof(float) * copies[m];
  }
  return sum;
}

/// `exact`: opens the data, which give the length of the run. Otherwise returns an upper bound at once.
Need need_of(const PlannedRun& run, bool exact) {
  Need need;
  try {
    CheckedPipeline pipeline = load_checked(run.pipeline);
    const ordered_json resolved = resolved_json(pipeline);
    need.count = count_checkpoints(resolved, nullptr);
    if (need.count.at_once == 0) return {};
    const std::optional<double> bytes = exact ? std::nullopt : checkpoint_bytes(pipeline);
    if (bytes) {
      need.one = *bytes;
    } else {
      look_into(pipeline, [&](Engine& engine) {
        need.one = static_cast<double>(engine.footprint().saved);
        need.count = count_checkpoints(resolved, &engine.info());
      });
    }
    need.there = bytes_under(io::RunPaths(run.folder).checkpoints);
  } catch (const std::exception&) {
    return {};
  }
  return need;
}

/// Bytes of all; and what more must be free while they are written.
struct Sum {
  double stay = 0, more = 0, there = 0;
};

Sum sum_of(const std::vector<PlannedRun>& runs, bool beside, bool exact) {
  Sum sum;
  for (const PlannedRun& run : runs) {
    const Need need = need_of(run, exact);
    const double more = need.one * static_cast<double>(need.count.at_once - need.count.stay);
    sum.stay += need.one * static_cast<double>(need.count.stay);
    sum.more = beside ? sum.more + more : std::max(sum.more, more);
    sum.there += need.there;
  }
  return sum;
}

}  // namespace

void require_room(Engine& engine, const ordered_json& resolved, const fs::path& run) {
  const int64_t count = count_checkpoints(resolved, &engine.info()).at_once;
  const std::optional<double> free = free_bytes(run);
  if (count == 0 || !free) return;
  const auto one = static_cast<double>(engine.footprint().saved), all = one * static_cast<double>(count);
  if (all - bytes_under(io::RunPaths(run).checkpoints) <= *free) return;
  throw RunError("the checkpoints of this run need " + size_text(all) + " (" + std::to_string(count) + " at once, " + size_text(one) +
                 " each), but the disk of " + run.string() + " has only " + size_text(*free) + instead);
}

void require_room(const std::vector<PlannedRun>& runs, const fs::path& out, bool beside) {
  const std::optional<double> free = free_bytes(out);
  if (!free) return;
  Sum sum;
  for (const bool exact : {false, true}) {  // the exact number takes time, and is seldom needed
    sum = sum_of(runs, beside, exact);
    if (sum.stay + sum.more - sum.there <= *free) return;
  }
  const std::string of = runs.size() == 1 ? "the variant that is" : "the " + std::to_string(runs.size()) + " variants that are";
  throw RunError("the checkpoints of " + of + " to run need " + size_text(sum.stay + sum.more) + ", but the disk of " + out.string() + " has only " +
                 size_text(*free) + instead);
}

}  // namespace flowrun::app
