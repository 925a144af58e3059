// The shapes at the ports of the training stream, and the models that its nodes run, as nodes and types describe them.
#include <nlohmann/json.hpp>

#include "nodes/lib/tensor/model/encoder.h"
#include "tools/app/plan/plan_facts.h"

namespace flowrun::app {
namespace {

/// Asks the nodes of the training stream in their order, each with what those before it give.
class Walk {
 public:
  Walk(const PlanFacts& facts, CheckedPipeline& pipeline) : facts_(facts), pipeline_(pipeline) {
    PlannedGroup& group = whole_;
    group.views = facts.views, group.images = static_cast<double>(facts.grouping.group) * group.views;
    group.repeats = static_cast<double>(facts.masks.repeats), group.rows = group.images * group.repeats;
    group.has_masks = !facts.mask_node.empty();
    const auto share = 1.0 / static_cast<double>(facts.masks.groups.size());
    for (const MaskSizes::Group& masks : facts.masks.groups) {
      group.masks.visible += share * static_cast<double>(masks.visible);
      group.masks.regions += share * static_cast<double>(masks.regions);
      group.masks.patches += share * static_cast<double>(masks.patches);
    }
    group.file_bytes = facts.file_bytes.value_or(-1);
    group.element = facts.element;
  }

  NodePlan ask(int n) {
    CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
    NodePlan plan;
    plan.group = whole_;
    for (size_t p = 0; p < node.ports.size(); ++p) {
      const PortSource& from = node.sources[p];
      if (from.node >= 0) plan.in[node.ports[p].name] = made_[{from.node, from.port}];
    }
    plan.group.side = side_of(node, plan);
    node.node->plan(plan);
    for (size_t p = 0; p < node.ports.size(); ++p) {
      const PortDoc& port = node.ports[p];
      if (port.input) continue;
      const auto told = plan.out.find(port.name);
      Planned& out = made_[{n, static_cast<int>(p)}];
      if (told != plan.out.end()) {
        out = told->second;
      } else if (port.type->plan != nullptr) {
        port.type->plan(plan.group, out);
      } else {
        out.text = "not known beforehand";
      }
      plan.out[port.name] = out;
    }
    return plan;
  }

  /// Of the pictures that models see.
  int side() const { return last_side_; }

 private:
  /// Of the pictures that a node gives: its own "size", else that of what comes in, else what an encoder is made for. 0: not known.
  double side_of(CheckedNode& node, const NodePlan& plan) {
    const auto params = write_params(node.node->params());
    double side = 0;
    if (node.scope() <= Scope::sample && params.contains("size") && params["size"].is_number_integer()) side = params["size"].get<double>();
    for (size_t p = 0; side == 0 && p < node.ports.size(); ++p) {
      if (const auto in = plan.in.find(node.ports[p].name); node.ports[p].input && in != plan.in.end()) side = in->second.side;
    }
    if (node.scope() < Scope::batch) return side;
    for (size_t m = 0; side == 0 && m < facts_.resources.size(); ++m) {
      if (const auto* const encoder = dynamic_cast<const model::Encoder*>(facts_.resources[m].get()))
        side = static_cast<double>(encoder->shape().image);
    }
    if (side > 0) last_side_ = static_cast<int>(side);
    return side;
  }

  const PlanFacts& facts_;
  CheckedPipeline& pipeline_;
  PlannedGroup whole_;
  std::map<std::pair<int, int>, Planned> made_;  // by node and port
  int last_side_ = 0;
};

bool is_read(const CheckedPipeline& pipeline, int node, int port) {
  for (const CheckedNode& reader : pipeline.nodes) {
    for (const PortSource& from : reader.sources) {
      if (from.node == node && from.port == port) return true;
    }
  }
  return false;
}

}  // namespace

void PlanFacts::ask_nodes() {
  Walk walk(*this, pipeline);
  for (const int n : pipeline.nodes_of(pipeline.training_source)) {
    CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    NodePlan plan = walk.ask(n);
    for (size_t p = 0; p < node.ports.size(); ++p) {
      const PortDoc& port = node.ports[p];
      if (port.input || !is_read(pipeline, n, static_cast<int>(p))) continue;
      const Planned& out = plan.out[port.name];
      ports.push_back({node.name, port.name, port.type->name, out.text, out.bytes, out.held, node.scope() >= Scope::device});
    }
    for (NodePlan::Pass& pass : plan.passes) {
      const auto model = std::find_if(models.begin(), models.end(), [&](const PlannedModel& m) { return m.name == pass.model; });
      passes.push_back({node.name, pass.model, pass.gradient && model->trained > 0, static_cast<double>(model->parameters), std::move(pass.cost)});
    }
    if (node.scope() == Scope::device && !node.uses.empty() && plan.passes.empty()) {
      notes.push_back(node.name + " (" + node.type->info.type + "): its operations are not counted");
    }
  }
  side = walk.side();
  for (size_t m = 0; m < resources.size(); ++m) {
    const auto* const module = dynamic_cast<model::Module*>(resources[m].get());
    if (module != nullptr && !module->cost({})) notes.push_back(models[m].name + ": the operations of its heads are not counted");
  }
}

}  // namespace flowrun::app
