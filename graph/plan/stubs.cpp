#include "graph/plan/stubs.h"

#include <algorithm>

namespace flowrun {

Stubs::Stubs(const CheckedPipeline& pipeline, Plan& plan, const std::vector<std::string>& names)
    : named_(pipeline.nodes.size()), skipped_(pipeline.nodes.size()) {
  std::vector<std::string> known;
  for (const CheckedNode& node : pipeline.nodes) known.push_back(node.name);
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) throw PipelineError("error: --stub: there is no node \"" + name + "\"\n  " + did_you_mean(name, known));
    const auto n = static_cast<size_t>(found - known.begin());
    if (pipeline.nodes[n].scope() >= Scope::step) {
      throw PipelineError("error: --stub: " + name + " has no output to replay; stub a node before it");
    }
    if (pipeline.nodes[n].scope() == Scope::whole) {
      throw PipelineError("error: --stub: " + name + " takes all groups of a step, so it can't replay one; stub a node before it");
    }
    named_[n] = skipped_[n] = true;
  }
  skip_ancestors(pipeline);
  for (StreamPlan& stream : plan.streams) {
    for (LevelPlan& level : stream.level) keep_outputs(level, pipeline);
  }
}

/// Skips the nodes whose readers are all skipped, from the end of the pipeline, in which every node comes after its
/// inputs.
void Stubs::skip_ancestors(const CheckedPipeline& pipeline) {
  for (size_t n = pipeline.nodes.size(); n-- > 0;) {
    if (pipeline.nodes[n].scope() >= Scope::whole) continue;
    int readers = 0, skipped = 0;
    for (size_t other = n + 1; other < pipeline.nodes.size(); ++other) {
      const auto& sources = pipeline.nodes[other].sources;
      if (std::none_of(sources.begin(), sources.end(), [&](const PortSource& s) { return s.node == static_cast<int>(n); })) continue;
      ++readers;
      skipped += skipped_[other] ? 1 : 0;
    }
    if (readers > 0 && readers == skipped) skipped_[n] = true;
  }
}

void Stubs::keep_outputs(LevelPlan& plan, const CheckedPipeline& pipeline) {
  std::vector<int> slots;
  for (const Task& task : plan.tasks) {
    if (task.node < 0 || !named_[static_cast<size_t>(task.node)]) continue;
    const auto& ports = pipeline.nodes[static_cast<size_t>(task.node)].ports;
    for (size_t p = 0; p < ports.size(); ++p) {
      if (!ports[p].input && task.slots[p].index >= 0) slots.push_back(task.slots[p].index);
    }
  }
  for (const int slot : slots) {
    const TypeOps*& type = plan.slots[static_cast<size_t>(slot)];
    if (!type->releases) continue;
    kept_.push_back(*type);
    kept_.back().releases = false;
    type = &kept_.back();
    for (Task& task : plan.tasks) std::erase(task.reads, slot);
  }
}

}  // namespace flowrun
