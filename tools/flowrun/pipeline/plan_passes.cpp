// The device nodes that run models, and the cost of their passes.
#include <nlohmann/json.hpp>

#include "nodes/classifier_resource.h"
#include "nodes/probe_resource.h"
#include "tools/flowrun/pipeline/plan_facts.h"

namespace flowrun::tool {
namespace {

using model::MaskCounts;
using PassCost = std::function<model::Cost(const MaskCounts&)>;

/// Tokens that an encoder outputs before the patches.
struct Prefix {
  int64_t class_token = 0, all = 0;
};

struct Passes {
  const PlanFacts& facts;

  template <class R>
  const R* model_as(const ModelUse& use) const {
    return dynamic_cast<const R*>(facts.resources[static_cast<size_t>(use.model)].get());
  }

  PassCost encoder(CheckedNode& node, const model::VitConfig& config) const {
    const std::string type = node.type->info.type;
    const auto patches = static_cast<double>(config.patches()), repeats = static_cast<double>(facts.masks.repeats);
    const int e = facts.element;
    if (type == "mim.encode_visible") {
      return [=](const MaskCounts& seen) { return encoder_cost(config, seen.visible, config.depth, e).times(repeats); };
    }
    if (type == "mim.hidden_targets") {
      const auto blocks = write_params(node.node->params())["blocks"].get<std::vector<int64_t>>();
      const double stream = 4 * (patches + static_cast<double>(config.prefix())) * static_cast<double>(config.width);
      return [=](const MaskCounts&) {
        model::Cost cost = encoder_cost(config, patches, blocks.back(), e);
        cost.working += stream * static_cast<double>(blocks.size());  // they stay until the last one has run
        return cost;
      };
    }
    if (type != "supervised.classify" && type != "eval.features" && type != "eval.tokens") return nullptr;
    model::Cost head;
    for (const ModelUse& use : node.uses) {
      if (const auto* const classifier = model_as<ClassifierResource>(use)) head = classifier_cost(classifier->classifier.config());
    }
    return [=](const MaskCounts&) {
      model::Cost cost = encoder_cost(config, patches, config.depth, e);
      cost += head;
      return cost;
    };
  }

  Prefix prefix_for(const CheckedNode& node) const {
    for (const PortSource& from : node.sources) {
      if (from.node < 0) continue;
      for (const ModelUse& use : facts.pipeline.nodes[static_cast<size_t>(from.node)].uses) {
        if (const auto* const vit = model_as<VitResource>(use)) return {vit->vit.config().class_token ? 1 : 0, vit->vit.config().prefix()};
      }
    }
    return {};
  }

  PassCost predictor(const CheckedNode& node) const {
    const Prefix prefix = prefix_for(node);
    const auto repeats = static_cast<double>(facts.masks.repeats);
    const int e = facts.element;
    if (const auto* const plain = model_as<PredictorOf<model::Predictor>>(node.uses[0])) {
      return
          [=, config = plain->model.config()](const MaskCounts& seen) { return predictor_cost(config, seen, prefix.class_token, e).times(repeats); };
    }
    if (const auto* const cross = model_as<PredictorOf<model::CrossPredictor>>(node.uses[0])) {
      return [=, config = cross->model.config()](const MaskCounts& seen) {
        return predictor_cost(config, seen, config.maps > 0 ? prefix.all : prefix.class_token, e).times(repeats);
      };
    }
    if (const auto* const conv = model_as<PredictorOf<model::ConvPredictor>>(node.uses[0])) {
      return [=, config = conv->model.config()](const MaskCounts&) { return predictor_cost(config, e).times(repeats); };
    }
    return nullptr;
  }
};

}  // namespace

void PlanFacts::find_passes() {
  const Passes find{*this};
  for (const int n : pipeline.nodes_of(pipeline.training_source)) {
    CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    if (node.scope() != Scope::device || node.uses.empty()) continue;
    const PlannedModel& first = models[static_cast<size_t>(node.uses[0].model)];
    const auto* const vit = find.model_as<VitResource>(node.uses[0]);
    const std::string type = node.type->info.type;
    // Targets have no gradient, whichever node makes them.
    PlannedPass pass{node.name, first.name, first.trained > 0 && type != "mim.hidden_targets", static_cast<double>(first.parameters),
                     vit ? find.encoder(node, vit->vit.config()) : find.predictor(node)};
    if (pass.cost) {
      passes.push_back(std::move(pass));
    } else {
      notes.push_back(node.name + " (" + type + "): its cost is not counted");
    }
  }
  for (size_t m = 0; m < resources.size(); ++m) {
    if (dynamic_cast<ProbeResource*>(resources[m].get())) notes.push_back(models[m].name + ": the cost of its heads is not counted");
  }
}

}  // namespace flowrun::tool
