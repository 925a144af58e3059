// Which device nodes run which models, and what that costs.
#include <nlohmann/json.hpp>

#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/head.h"
#include "nodes/lib/tensor/model/predictor.h"
#include "tools/flowrun/pipeline/plan_facts.h"

namespace flowrun::tool {
namespace {

using model::MaskCounts;
using PassCost = std::function<model::Cost(const MaskCounts&)>;

/// Tokens that an encoder hands on before the patches.
struct Prefix {
  int64_t class_token = 0, all = 0;
};

struct Passes {
  const PlanFacts& facts;

  template <class R>
  const R* model_as(const ModelUse& use) const {
    return dynamic_cast<const R*>(facts.resources[static_cast<size_t>(use.model)].get());
  }

  PassCost encoder(CheckedNode& node, const model::Encoder& encoder) const {
    const std::string type = node.type->info.type;
    const model::EncoderShape shape = encoder.shape();
    const auto repeats = static_cast<double>(facts.masks.repeats);
    model::Pass pass{.element = facts.element};
    if (type == "mim.encode_visible") {
      return [=, &encoder](const MaskCounts& seen) {
        model::Pass visible = pass;
        visible.masks = seen;
        return encoder.cost(visible).value_or(model::Cost()).times(repeats);
      };
    }
    pass.whole = true;
    if (type == "mim.hidden_targets") {
      const auto blocks = write_params(node.node->params())["blocks"].get<std::vector<int64_t>>();
      pass.blocks = blocks.back();
      const double stream = 4 * static_cast<double>((shape.patches() + shape.prefix) * shape.width);
      return [=, &encoder](const MaskCounts&) {
        model::Cost cost = encoder.cost(pass).value_or(model::Cost());
        cost.working += stream * static_cast<double>(blocks.size());  // they stay until the last one has run
        return cost;
      };
    }
    if (type != "supervised.classify" && type != "eval.features" && type != "eval.tokens") return nullptr;
    model::Cost head;
    for (const ModelUse& use : node.uses) {
      if (const auto* const found = model_as<model::Head>(use)) head = found->cost(pass).value_or(model::Cost());
    }
    return [=, &encoder](const MaskCounts&) {
      model::Cost cost = encoder.cost(pass).value_or(model::Cost());
      cost += head;
      return cost;
    };
  }

  Prefix prefix_for(const CheckedNode& node) const {
    for (const PortSource& from : node.sources) {
      if (from.node < 0) continue;
      for (const ModelUse& use : facts.pipeline.nodes[static_cast<size_t>(from.node)].uses) {
        if (const auto* const encoder = model_as<model::Encoder>(use)) return {encoder->shape().class_token ? 1 : 0, encoder->shape().prefix};
      }
    }
    return {};
  }

  PassCost predictor(const CheckedNode& node) const {
    const auto* const predictor = model_as<model::Predictor>(node.uses[0]);
    if (predictor == nullptr) return nullptr;
    const Prefix prefix = prefix_for(node);
    const auto repeats = static_cast<double>(facts.masks.repeats);
    const model::Pass pass{.class_token = prefix.class_token, .prefix = prefix.all, .element = facts.element};
    return [=](const MaskCounts& seen) {
      model::Pass masked = pass;
      masked.masks = seen;
      return predictor->cost(masked).value_or(model::Cost()).times(repeats);
    };
  }
};

}  // namespace

void PlanFacts::find_passes() {
  const Passes find{*this};
  for (const int n : pipeline.nodes_of(pipeline.training_source)) {
    CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    if (node.scope() != Scope::device || node.uses.empty()) continue;
    const PlannedModel& first = models[static_cast<size_t>(node.uses[0].model)];
    const auto* const encoder = find.model_as<model::Encoder>(node.uses[0]);
    const std::string type = node.type->info.type;
    // Targets have no gradient, whoever gives them.
    PlannedPass pass{node.name, first.name, first.trained > 0 && type != "mim.hidden_targets", static_cast<double>(first.parameters),
                     encoder ? find.encoder(node, *encoder) : find.predictor(node)};
    if (pass.cost) {
      passes.push_back(std::move(pass));
    } else {
      notes.push_back(node.name + " (" + type + "): what it does is not counted");
    }
  }
  for (size_t m = 0; m < resources.size(); ++m) {
    const auto* const module = dynamic_cast<model::Module*>(resources[m].get());
    if (module != nullptr && !module->cost({})) notes.push_back(models[m].name + ": what its heads do is not counted");
  }
}

}  // namespace flowrun::tool
