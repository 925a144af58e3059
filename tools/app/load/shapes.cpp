#include "tools/app/load/shapes.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "graph/contract/log.h"
#include "graph/run/bind.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/import.h"
#include "nodes/lib/tensor/model/per_sample.h"

namespace flowrun::app {
namespace {

Grouping grouping_of(const CheckedPipeline& pipeline, int source) {
  for (const CheckedNode& node : pipeline.nodes) {
    if (node.feeds != std::vector<int>{source}) continue;
    if (const auto cut = node.node->grouping()) {
      const bool per_rank = pipeline.run.pass == "rank" && source == pipeline.training_source;
      return per_rank ? Grouping{cut->size, cut->size} : *cut;
    }
  }
  return {};
}

/// Where the input or the parameter `at` of an entry stands; else the entry.
Location place_of(const Value& text, const char* section, const std::string& name, const std::string& at, const Location& otherwise) {
  const Value* const entries = text.find(section);
  const Value* const entry = entries != nullptr ? entries->find(name) : nullptr;
  if (entry == nullptr || at.empty()) return otherwise;
  if (const Value* const param = entry->find(at)) return param->where;
  const Value* const in = entry->find("in");
  if (in == nullptr) return otherwise;
  const Value* const input = in->find(at);
  return input != nullptr ? input->where : in->where;
}

/// Faults of tables with a row for each sample that don't fit into run.memory_mib.
void check_tables(const CheckedPipeline& pipeline, const std::vector<std::unique_ptr<Resource>>& resources, Diagnostics& faults) {
  for (size_t m = 0; m < resources.size(); ++m) {
    const auto* const table = dynamic_cast<const model::PerSample*>(resources[m].get());
    if (table == nullptr) continue;
    const double mib = std::ceil(table->table_bytes() / (1 << 20));
    if (mib <= static_cast<double>(pipeline.run.memory_mib)) continue;
    faults.error(pipeline.models[m].where,
                 pipeline.models[m].name + ": rows of " + std::to_string(table->samples()) + " samples take " + count_text(mib) +
                     " MiB, but run.memory_mib is " + std::to_string(pipeline.run.memory_mib),
                 "raise run.memory_mib, or take fewer samples");
  }
}

/// Whether a reference names a model that isn't open.
class Unopened final : public ModelVisitor {
 public:
  bool any = false;
  void visit(const ParamInfo&, Models& models, Models::Access, bool) override {
    any = any || std::find(models.resources.begin(), models.resources.end(), nullptr) != models.resources.end();
  }
};

bool all_open(ParamSet& params) {
  Unopened unopened;
  params.describe(unopened);
  return !unopened.any;
}

}  // namespace

std::vector<std::unique_ptr<Resource>> open_shapes(CheckedPipeline& pipeline,
                                                   const std::function<void(const CheckedModel&, const std::exception&)>& failed) {
  const model::ShapesOnly shapes;
  const Silence silence;
  RunInfo run;
  run.seed = pipeline.seed;
  std::vector<std::unique_ptr<Resource>> resources;
  for (CheckedModel& model : pipeline.models) {
    bind_models(model.model->params(), pipeline.models, resources);
    std::unique_ptr<Resource> opened;
    try {
      if (all_open(model.model->params())) opened = model.model->open({run, model.name, 0});
    } catch (const std::exception& error) {
      failed(model, error);
    }
    resources.push_back(std::move(opened));
  }
  for (CheckedNode& node : pipeline.nodes) bind_models(node.node->params(), pipeline.models, resources);
  return resources;
}

/// Of the pictures that come in; of batches whose size isn't known, what an encoder is made for. 0: not known.
double ShapeWalk::shown_side(CheckedNode& node, const NodePlan& plan) const {
  for (const PortDoc& port : node.ports) {
    if (const auto in = plan.in.find(port.name); port.input && in != plan.in.end() && in->second.side > 0) return in->second.side;
  }
  if (node.scope() < Scope::batch) return 0;
  for (const auto& resource : resources_) {
    const auto* const encoder = dynamic_cast<const model::Encoder*>(resource.get());
    if (encoder != nullptr) return static_cast<double>(encoder->shape().image);
  }
  return 0;
}

/// Adds what the node did not tell of an output.
void ShapeWalk::fill(const CheckedNode& node, size_t port, const NodePlan& plan, Planned& out) const {
  const PortDoc& to = node.ports[port];
  const bool told = plan.out.contains(to.name) || plan.side > 0 || plan.views > 0;
  if (plan.side > 0) out.side = plan.side;
  if (plan.views > 0) out.views = plan.views;
  const double own_views = out.views;
  for (const PortDoc& from : node.ports) {
    const auto found = plan.in.find(from.name);
    if (!from.input || found == plan.in.end() || (to.in_place != nullptr && from.name != to.in_place)) continue;
    const Planned& in = found->second;
    if (!in.certain || (!told && to.in_place == nullptr && from.type == to.type)) out.certain = false;
    if (own_views == 0) out.views = std::max(out.views, in.views);
    if (out.side == 0) out.side = in.side;
    if (out.grid == 0) out.grid = in.grid;
    if (out.width == 0) out.width = in.width;
  }
  if (own_views == 0 && node.scope() == Scope::source) out.views = 1;
  if (!out.text.empty()) return;
  const Planned numbers = out;
  if (to.type->plan != nullptr) to.type->plan(plan.group, out);
  if (out.text.empty()) out.text = "not known beforehand";
  out.views = numbers.views, out.side = numbers.side, out.grid = numbers.grid, out.width = numbers.width;
  out.parts = numbers.parts, out.class_token = numbers.class_token, out.prefix = numbers.prefix, out.certain = numbers.certain;
  out.noised = numbers.noised;
}

NodePlan ShapeWalk::ask(int n, PlannedGroup group) {
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
  NodePlan plan;
  for (size_t p = 0; p < node.ports.size(); ++p) {
    const PortSource& from = node.sources[p];
    if (from.node >= 0) plan.in.emplace(node.ports[p].name, made_[{from.node, from.port}]);
  }
  group.views = 1;
  for (const auto& [name, in] : plan.in) group.views = std::max(group.views, in.views);
  group.images *= group.views, group.rows = group.images * group.repeats;
  group.side = shown_side(node, plan);
  plan.group = group;
  const std::vector<std::string> read = pipeline_.read_ports(n);
  plan.read_ports = &read;
  const bool asked = all_open(node.node->params());
  if (asked) node.node->plan(plan);
  if (plan.views > 0) plan.group.views = plan.views;
  if (plan.side > 0) plan.group.side = plan.side;
  std::map<std::string, Planned> out;
  for (size_t p = 0; p < node.ports.size(); ++p) {
    const PortDoc& port = node.ports[p];
    if (port.input) continue;
    const auto told = plan.out.find(port.name);
    Planned& value = out[port.name];
    if (told != plan.out.end()) value = told->second;
    fill(node, p, plan, value);
    value.certain = value.certain && asked;
    made_[{n, static_cast<int>(p)}] = value;
  }
  plan.out = std::move(out);
  plan.read_ports = nullptr;
  return plan;
}

void check_shapes(CheckedPipeline& pipeline, const Value& text, Diagnostics& faults) {
  const Silence silence;
  const auto failed = [&](const CheckedModel& model, const std::exception& error) {
    if (dynamic_cast<const model::MissingWeights*>(&error) != nullptr) return;  // may be made before the run
    faults.error(model.where, model.name + ": " + message_of(error));
  };
  const std::vector<std::unique_ptr<Resource>> resources = open_shapes(pipeline, failed);
  check_tables(pipeline, resources, faults);
  const int64_t step = grouping_of(pipeline, pipeline.training_source).size;
  ShapeWalk walk(pipeline, resources);
  for (size_t n = 0; n < pipeline.nodes.size(); ++n) {
    CheckedNode& node = pipeline.nodes[n];
    PlannedGroup group;
    group.per_rank = pipeline.run.pass == "rank" && node.feeds == std::vector<int>{pipeline.training_source};
    group.step = static_cast<double>(step);
    if (node.feeds.size() == 1) group.images = static_cast<double>(grouping_of(pipeline, node.feeds[0]).group);
    for (const NodePlan::Fault& fault : walk.ask(static_cast<int>(n), group).faults) {
      faults.error(place_of(text, "nodes", node.name, fault.at, node.where), node.name + ": " + fault.message, fault.hint);
    }
  }
}

}  // namespace flowrun::app
