#include "tools/app/sweep/share.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "graph/contract/device.h"
#include "graph/engine/engine.h"
#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/app/load/load.h"
#include "tools/app/load/part.h"
#include "tools/app/run/look.h"
#include "tools/app/run/memory.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

/// A variant's pipeline, and its stage that makes groups: the nodes that see samples, including the stacks.
struct Side {
  CheckedPipeline pipeline;
  ordered_json resolved;
  std::vector<bool> stage;  // per node
  std::string key;          // of the stage; empty: it can't be shared

  explicit Side(const PipelineArgs& args) : pipeline(load_checked(args)), resolved(resolved_json(pipeline)), stage(pipeline.nodes.size()) {
    if (pipeline.training_source >= 0) key = describe_stage();
  }

  /// Whether another run can take the outputs of the batch node.
  static bool gives(const CheckedNode& node) {
    const auto& ports = node.ports;
    const auto fits = [](const PortDoc& port) { return port.input || (port.type->copy != nullptr && port.in_place == nullptr); };
    return std::all_of(ports.begin(), ports.end(), fits) && std::any_of(ports.begin(), ports.end(), [](const PortDoc& port) { return !port.input; });
  }
  const CheckedNode& node(int n) const { return pipeline.nodes[static_cast<size_t>(n)]; }
  const ordered_json& json(const std::string& name) const {
    static const ordered_json none;
    return resolved["nodes"].contains(name) ? resolved["nodes"].at(name) : none;
  }

 private:
  std::string describe_stage() {
    const Plan plan = lower(pipeline);
    const LevelPlan& level = plan.streams[0].level[sample_level];
    for (const Task& task : level.tasks) {
      if (task.node >= 0) stage[static_cast<size_t>(task.node)] = true;
    }
    for (const Fold& fold : level.folds) {
      if (node(fold.node).scope() != Scope::batch || !gives(node(fold.node))) return "";
      stage[static_cast<size_t>(fold.node)] = true;
    }
    ordered_json text = {{"seed", pipeline.seed}, {"replaces", pipeline.run.max_bad > 0}};
    std::map<std::string, ordered_json> nodes;
    for (size_t n = 0; n < stage.size(); ++n) {
      if (stage[n]) nodes[pipeline.nodes[n].name] = json(pipeline.nodes[n].name);
    }
    text["nodes"] = nodes;
    return json_text(text);
  }
};

/// The common nodes of several variants, of which `first` is one: the stage, and the batch nodes after it that are equal
/// in all. Batch nodes know the length of the run, so that must be equal, too.
std::vector<bool> common_nodes(const Side& first, const std::vector<const Side*>& others) {
  std::vector<bool> marked = first.stage;
  const RunParams& run = first.pipeline.run;
  for (const Side* other : others) {
    if (other->pipeline.run.epochs != run.epochs || other->pipeline.run.steps != run.steps) return marked;
  }
  for (const int n : first.pipeline.nodes_of(first.pipeline.training_source)) {
    const CheckedNode& node = first.node(n);
    const auto is_marked = [&](int from) { return from < 0 || marked[static_cast<size_t>(from)]; };
    if (node.scope() != Scope::batch || !Side::gives(node)) continue;
    if (!std::all_of(node.sources.begin(), node.sources.end(), [&](const PortSource& from) { return is_marked(from.node); })) continue;
    if (!std::all_of(node.after.begin(), node.after.end(), is_marked)) continue;
    const auto equal = [&](const Side* other) { return other->json(node.name) == first.json(node.name); };
    if (std::all_of(others.begin(), others.end(), equal)) marked[static_cast<size_t>(n)] = true;
  }
  return marked;
}

/// "sharing files, crop, decode, batch among 4 variants; mask is each one's own".
std::string sharing_text(const std::vector<const Side*>& sides, const std::vector<bool>& marked) {
  std::vector<std::string> shared, own;
  for (const std::string& name : sides[0]->pipeline.node_order) {
    for (size_t n = 0; n < marked.size(); ++n) {
      if (marked[n] && sides[0]->pipeline.nodes[n].name == name) shared.push_back(name);
    }
  }
  for (const Side* side : sides) {
    for (const int n : side->pipeline.nodes_of(side->pipeline.training_source)) {
      const CheckedNode& node = side->node(n);
      const auto listed = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), node.name) != names.end(); };
      if (node.scope() == Scope::batch && !listed(shared) && !listed(own)) own.push_back(node.name);
    }
  }
  std::string text = "sharing " + join(shared) + " among " + std::to_string(sides.size()) + " variants";
  if (!own.empty()) text += "; " + join(own) + (own.size() == 1 ? " is" : " are") + " each one's own";
  return text;
}

std::vector<const Side*> pointers(const std::vector<Side>& sides) {
  std::vector<const Side*> out;
  for (const Side& side : sides) out.push_back(&side);
  return out;
}

/// The host memory of a run. A variant that can't be opened counts as zero; its run will report why.
Footprint footprint_of(const Variant& variant) {
  Footprint out;
  try {
    CheckedPipeline pipeline = load_checked(variant.pipeline);
    resolve_device(pipeline.run);
    const bool on_host = device_runtime(pipeline.run.device).info().on_host;
    look_into(pipeline, [&](Engine& engine) { out = engine.footprint(); });
    if (!on_host) out.models = 0;
  } catch (const std::exception&) {
  }
  return out;
}

std::string mib(size_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

/// The sets of variants that could run side by side, limited by memory. The leader needs as much as the first one's groups.
std::vector<std::vector<size_t>> fit(const std::vector<Variant>& variants, const std::vector<size_t>& group, size_t memory, Caller& caller) {
  std::vector<std::vector<size_t>> out;
  const size_t free = memory > 0 ? memory : available_memory();
  size_t taken = 0, all = 0;
  for (const size_t v : group) {
    const Footprint one = footprint_of(variants[v]);
    const size_t bytes = one.groups + one.models;
    all += bytes;
    if (out.empty() || taken + bytes > free) {
      out.emplace_back();
      taken = one.groups;
    }
    taken += bytes;
    out.back().push_back(v);
  }
  if (out.size() > 1) {
    caller.say("side by side the " + std::to_string(group.size()) + " variants with the same input need " + mib(all) + ", and " + mib(free) +
               " are free: they run in " + std::to_string(out.size()) + " rounds");
  }
  return out;
}

/// Runs one variant, on this thread. If it throws, it has left no run behind.
int run_beside(const Variant& variant, const fs::path& out, const SweepArgs& args, InputTaker& takes, Caller& caller) {
  try {
    RunArgs run_args = variant_args(variant, out, args);
    run_args.name = variant.name;
    run_args.takes = &takes;
    return run(run_args, caller);
  } catch (const std::exception& error) {
    caller.say(variant.name + ": " + error.what());
    return exit_failed;
  }
}

/// The common nodes as a separate pipeline.
CheckedPipeline leader_of(Side first, const std::vector<bool>& marked) {
  const int source = first.pipeline.training_source;
  CheckedPipeline leader = host_part_of(std::move(first.pipeline), source, marked);
  if (leader.run.max_bad > 0) leader.run.max_bad = INT64_MAX;  // each variant counts separately
  return leader;
}

}  // namespace

std::vector<Round> plan_rounds(const std::vector<Variant>& variants, size_t memory, Caller& caller) {
  std::vector<Side> sides;
  for (const Variant& variant : variants) sides.emplace_back(variant.pipeline);
  std::vector<Round> out;
  std::set<size_t> done;
  for (size_t v = 0; v < sides.size(); ++v) {
    if (done.contains(v)) continue;
    std::vector<size_t> group = {v};
    for (size_t w = v + 1; w < sides.size(); ++w) {
      if (!sides[v].key.empty() && sides[w].key == sides[v].key) group.push_back(w);
    }
    done.insert(group.begin(), group.end());
    for (const std::vector<size_t>& round : group.size() == 1 ? std::vector<std::vector<size_t>>{group} : fit(variants, group, memory, caller)) {
      std::vector<const Side*> members;
      for (const size_t w : round) members.push_back(&sides[w]);
      out.push_back({round, round.size() == 1 ? "" : sharing_text(members, common_nodes(*members[0], members))});
    }
  }
  return out;
}

int run_together(const std::vector<Variant>& variants, const fs::path& out, const SweepArgs& args, Caller& caller) {
  std::vector<Side> sides;  // all plug-ins are loaded before threads start
  for (const Variant& variant : variants) sides.emplace_back(variant.pipeline);
  const std::vector<bool> marked = common_nodes(sides[0], pointers(sides));
  CheckedPipeline pipeline = leader_of(std::move(sides[0]), marked);
  SharedInput input;
  EngineOptions options;
  options.threads = args.threads;
  options.gives = &input;
  Engine leader(pipeline, std::move(options));
  std::vector<std::unique_ptr<InputTaker>> takers;
  for (size_t v = 0; v < variants.size(); ++v) takers.push_back(std::make_unique<InputTaker>(input));
  std::vector<int> ended(variants.size());
  {
    std::vector<std::jthread> threads;
    for (size_t v = 0; v < variants.size(); ++v) {
      threads.emplace_back([&, v] {
        ended[v] = run_beside(variants[v], out / variants[v].name, args, *takers[v], caller);
        takers[v]->leave();
      });
    }
    try {
      if (const auto steps = input.wait_for_takers()) leader.repeat(steps->first, steps->last);
    } catch (const std::exception&) {
      // The variants that have joined so far fail with it.
    }
    input.end(std::nullopt);
  }
  if (std::count(ended.begin(), ended.end(), exit_stopped) > 0) return exit_stopped;
  return std::all_of(ended.begin(), ended.end(), [](int status) { return status == 0; }) ? 0 : exit_failed;
}

}  // namespace flowrun::app
