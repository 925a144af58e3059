// The shapes at the ports of the training stream, and the models that its nodes run, as nodes and types describe them.
#include <nlohmann/json.hpp>

#include "nodes/lib/tensor/model/module.h"
#include "tools/app/load/shapes.h"
#include "tools/app/plan/plan_facts.h"

namespace flowrun::app {
namespace {

bool is_read(const CheckedPipeline& pipeline, int node, int port) {
  for (const CheckedNode& reader : pipeline.nodes) {
    for (const PortSource& from : reader.sources) {
      if (from.node == node && from.port == port) return true;
    }
  }
  return false;
}

}  // namespace

PlannedGroup PlanFacts::group(const MaskSizes& of) const {
  PlannedGroup out;
  out.per_rank = pipeline.run.pass == "rank";
  out.images = static_cast<double>(grouping.group), out.step = static_cast<double>(grouping.size);
  out.repeats = static_cast<double>(of.repeats), out.has_masks = !mask_node.empty();
  const auto share = 1.0 / static_cast<double>(of.groups.size());
  for (const MaskSizes::Group& drawn : of.groups) {
    out.masks.visible += share * static_cast<double>(drawn.visible);
    out.masks.regions += share * static_cast<double>(drawn.regions);
    out.masks.patches += share * static_cast<double>(drawn.patches);
    out.masks.hidden += share * drawn.hidden;
  }
  out.file_bytes = file_bytes.value_or(-1);
  out.element = element;
  return out;
}

void PlanFacts::ask_nodes() {
  ShapeWalk walk(pipeline, resources);
  for (const int n : pipeline.nodes_of(pipeline.training_source)) {
    CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    NodePlan plan = walk.ask(n, group(masks_at(n)));
    if (node.scope() >= Scope::batch && plan.group.side > 0) side = static_cast<int>(plan.group.side);
    for (size_t p = 0; p < node.ports.size(); ++p) {
      const PortDoc& port = node.ports[p];
      if (port.input || !is_read(pipeline, n, static_cast<int>(p))) continue;
      const Planned& out = plan.out[port.name];
      ports.push_back({node.name, port.name, port.type->name, out.text, out.bytes, out.held, node.scope() >= Scope::device});
    }
    if (node.scope() == Scope::whole && this->whole.empty()) this->whole = node.name;
    gathered += plan.gathered;
    for (NodePlan::Pass& pass : plan.passes) {
      const auto model = std::find_if(models.begin(), models.end(), [&](const PlannedModel& m) { return m.name == pass.model; });
      passes.push_back({node.name, pass.model, pass.gradient && model->trained > 0, static_cast<double>(model->parameters), plan.group.views,
                        &masks_at(n), std::move(pass.cost)});
    }
    if (node.scope() == Scope::device && !node.uses.empty() && plan.passes.empty()) {
      notes.push_back(node.name + " (" + node.type->info.type + "): its operations are not counted");
    }
  }
  for (size_t m = 0; m < resources.size(); ++m) {
    const auto* const module = dynamic_cast<model::Module*>(resources[m].get());
    if (module != nullptr && !module->cost({})) notes.push_back(models[m].name + ": the operations of its heads are not counted");
  }
}

}  // namespace flowrun::app
