#include "tools/app/plan/plan_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "graph/contract/log.h"
#include "graph/contract/planned.h"
#include "graph/contract/shown.h"
#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/optim/shard.h"
#include "tools/app/load/load.h"
#include "tools/app/load/shapes.h"

namespace flowrun::app {
namespace {

constexpr int64_t groups_drawn = 64;
constexpr uint64_t files_read = 64;

MaskCounts counts(const MaskSizes::Group& group) {
  return {static_cast<double>(group.visible), static_cast<double>(group.regions), static_cast<double>(group.patches), group.hidden};
}

/// Bytes of a few samples, spread over the source, on average.
double mean_bytes(CheckedNode& source, uint64_t seed) {
  std::vector<void*> objects;
  std::vector<PortSlot> slots;
  for (const PortDoc& port : source.ports) {
    slots.push_back({static_cast<int>(objects.size()), false});
    objects.push_back(port.type->make());
  }
  const uint64_t size = source.node->size(), count = std::min(size, files_read);
  double sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t unused = 0;
    source.node->run(Call{objects.data(), nullptr, slots.data()}, SampleContext{seed, source.stream, 0, i * size / count, i, LedgerEntry(&unused)});
    for (size_t p = 0; p < objects.size(); ++p) {
      if (source.ports[p].type->show == nullptr) continue;
      Shown shown;
      source.ports[p].type->show(objects[p], shown, 0, 1);
      sum += static_cast<double>(shown.file.size());
    }
  }
  for (size_t p = 0; p < objects.size(); ++p) source.ports[p].type->destroy(objects[p]);
  return sum / static_cast<double>(count);
}

/// A source with a location of files.
bool names_files(CheckedNode& source) {
  const auto params = write_params(source.node->params());
  return std::any_of(params.begin(), params.end(),
                     [](const auto& value) { return value.is_string() && value.template get<std::string>().find('/') != std::string::npos; }) ||
         params.contains("path");
}

}  // namespace

PlanFacts::PlanFacts(const PlanArgs& args, const std::string& automatic) : pipeline(load_checked(args.pipeline)) {
  precision = pipeline.run.precision == "auto" ? automatic : pipeline.run.precision;
  if (pipeline.training_source < 0) throw PipelineError("error: no stream trains: there is no run to plan");
  element = precision == "bf16" ? 2 : 4;
  const Silence silence;
  for (CheckedNode& node : pipeline.nodes) {
    if (const auto cut = node.node->grouping(); cut && node.feeds == std::vector<int>{pipeline.training_source}) grouping = *cut, stack = node.name;
  }
  if (pipeline.run.pass == "rank" && (grouping.size / grouping.group) % args.world == 0) grouping.group = grouping.size / args.world;
  open_source(args);
  open_models();
  draw();
  ask_nodes();
}

void PlanFacts::open_source(const PlanArgs& args) {
  CheckedNode& node = pipeline.nodes[static_cast<size_t>(pipeline.training_source)];
  source = node.name;
  reads_storage = names_files(node);
  images = args.images, images_from = "stated";
  try {
    RunInfo run;
    run.seed = pipeline.seed;
    node.node->open({run, node.name, node.stream});
    if (node.node->size() == 0) throw NodeError("there are no samples");
    if (args.images == 0) images = static_cast<int64_t>(node.node->size()), images_from = "data";
    file_bytes = mean_bytes(node, pipeline.seed);
  } catch (const std::exception& error) {
    const std::string why = source + " can't be opened (" + error.what() + ")";
    if (args.images == 0) throw PipelineError("error: " + why + ": give the number of images with --images");
    notes.push_back(why + ": " + std::to_string(args.images) + " images are assumed, as --images says");
  }
  if (args.file_kib > 0) file_bytes = args.file_kib * 1024;
  if (images < grouping.size) {
    throw PipelineError("error: " + source + " has " + std::to_string(images) + " images, fewer than the batch of " + std::to_string(grouping.size));
  }
  steps_per_epoch = images / grouping.size;
  steps = pipeline.run.epochs * steps_per_epoch;
  if (pipeline.run.steps > 0) steps = std::min(steps, pipeline.run.steps);
}

void PlanFacts::open_models() {
  resources = open_shapes(pipeline, [](const CheckedModel& model, const std::exception& error) { throw RunError(model.name + ": " + error.what()); });
  for (size_t m = 0; m < pipeline.models.size(); ++m) {
    const auto* const opened = dynamic_cast<model::Module*>(resources[m].get());
    models.push_back({pipeline.models[m].name, pipeline.models[m].type->info.type, opened ? opened->parameters().count() : 0, 0});
  }
  for (CheckedNode& node : pipeline.nodes) {
    for (const ModelUse& use : node.uses) {
      auto* const opened = dynamic_cast<model::Module*>(resources[static_cast<size_t>(use.model)].get());
      if (!node.type->stateful || use.access != Models::Access::writes || !opened) continue;
      opened->parameters().set_trainable();
      int64_t& trained = models[static_cast<size_t>(use.model)].trained = 0;
      for (const model::Parameter& parameter : opened->parameters()) {
        if (!parameter.value.requires_grad()) continue;
        trained += parameter.value.numel();
        trained_sizes.push_back(parameter.value.numel());
      }
      NodePlan plan;
      node.node->plan(plan);
      states = std::max(states, plan.states);
      sharded = sharded || write_params(node.node->params()).value("shard", false);
    }
  }
}

void PlanFacts::draw() {
  for (CheckedNode* node : mask_nodes(pipeline)) {
    if (node->feeds != std::vector<int>{pipeline.training_source}) continue;
    mask_node = node->name;
    masks = masks_of[node->name] = mask_sizes(pipeline, *node, groups_drawn);
  }
  if (masks_of.size() > 1) notes.push_back("the masks shown are those of " + mask_node + "; each pass is counted with the masks that it gets");
  if (masks.groups.empty()) masks.groups.push_back({0, 0, 0, 0});
}

const MaskSizes* PlanFacts::masks_before(int node) const {
  const CheckedNode& reader = pipeline.nodes[static_cast<size_t>(node)];
  if (const auto own = masks_of.find(reader.name); own != masks_of.end()) return &own->second;
  for (size_t p = 0; p < reader.ports.size(); ++p) {
    if (reader.ports[p].name == std::string("mask") && reader.sources[p].node >= 0) return masks_before(reader.sources[p].node);
  }
  return nullptr;
}

const MaskSizes& PlanFacts::masks_at(int node) const {
  const MaskSizes* const before = masks_before(node);
  return before != nullptr ? *before : masks;
}

double PlannedPass::forward() const {
  double sum = 0;
  for (const MaskSizes::Group& group : masks->groups) sum += views * cost(counts(group)).flops;
  return sum / static_cast<double>(masks->groups.size());
}

double PlanFacts::mean_flops(bool trained_only) const {
  double sum = 0;
  for (const PlannedPass& pass : passes) sum += trained_only && !pass.trained ? 0 : pass.forward();
  return sum;
}

double PlanFacts::activations() const {
  const auto images = static_cast<double>(grouping.group);
  double most = 0, fixed = 0;
  for (size_t group = 0; group < masks.groups.size(); ++group) {
    double saved = 0, working = 0;
    for (const PlannedPass& pass : passes) {
      const Cost cost = pass.cost(counts(pass.masks->groups[group % pass.masks->groups.size()]));
      saved += pass.trained ? pass.views * cost.saved : 0;
      working = std::max(working, pass.views * cost.working);
    }
    most = std::max(most, images * (saved + working));
  }
  // Under bf16 each layer keeps its weights' copy for the backward pass.
  for (const PlannedPass& pass : passes) fixed += pass.trained && element == 2 ? 2 * pass.parameters : 0;
  for (const PlannedPort& port : ports) {
    if (port.bytes < 0) continue;
    if (port.on_device) fixed += port.held * port.bytes;
  }
  return most + fixed;
}

int64_t PlanFacts::trained() const {
  int64_t sum = 0;
  for (const PlannedModel& model : models) sum += model.trained;
  return sum;
}

int64_t PlanFacts::kept(int64_t world) const {
  if (!sharded) return trained();
  std::vector<int64_t> load(static_cast<size_t>(world));
  const std::vector<int> owners = train::shard_owners(trained_sizes, world);
  for (size_t i = 0; i < owners.size(); ++i) load[static_cast<size_t>(owners[i])] += trained_sizes[i];
  return *std::max_element(load.begin(), load.end());
}

int64_t PlanFacts::parameters() const {
  int64_t sum = 0;
  for (const PlannedModel& model : models) sum += model.parameters;
  return sum;
}

}  // namespace flowrun::app
