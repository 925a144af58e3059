// The models that pipelines name, as the nodes reach them: weights on the device of the run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "graph/node.h"
#include "nodes/model/predictor.h"
#include "nodes/model/vit.h"

namespace flowrun {

/// What can be trained, averaged and saved: a list of named parameters. Only nodes that declared the access touch it.
class ModelResource : public Resource {
 public:
  static constexpr const char* kind = "";

  virtual model::Parameters& parameters() = 0;
  /// The same weights in memory of their own, without gradients.
  virtual std::unique_ptr<ModelResource> clone() const = 0;
  /// Every parameter must be there in its shape; arrays that are computed (position tables) are passed over.
  void restore(const State& state) override;
};

/// Saved under timm's names, with the position table as pos_embed.
class VitResource final : public ModelResource {
 public:
  static constexpr const char* kind = "vit";

  explicit VitResource(const model::VitConfig& config) : vit(config) {}
  model::Parameters& parameters() override { return vit.parameters(); }
  std::unique_ptr<ModelResource> clone() const override;
  State save() const override;

  model::Vit vit;
};

class PredictorResource final : public ModelResource {
 public:
  static constexpr const char* kind = "predictor";

  PredictorResource(const model::PredictorConfig& config, std::vector<int64_t> blocks) : predictor(config), blocks(std::move(blocks)) {}
  model::Parameters& parameters() override { return predictor.parameters(); }
  std::unique_ptr<ModelResource> clone() const override;
  State save() const override;

  model::Predictor predictor;
  std::vector<int64_t> blocks;  // that it predicts, increasing; empty when it predicts something else
};

/// Where tensors of the run live.
at::Device torch_device(const RunInfo& run);

/// The seed of a model's first weights: models of different names begin differently, whatever else there is.
uint64_t weight_seed(const OpenContext& context);

/// What "init" of a model may be; see model::InitScheme.
const Choices& init_choices();

}  // namespace flowrun
