// The models of a pipeline, as nodes refer to them, with weights on the device of the run.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "graph/node.h"
#include "nodes/device.h"
#include "nodes/model/predictor.h"
#include "nodes/model/vit.h"

namespace flowrun {

/// A model that can be trained, averaged and saved: a list of named parameters. Only nodes that declared the access
/// touch it.
class ModelResource : public Resource {
 public:
  static constexpr const char* kind = "";

  virtual model::Parameters& parameters() = 0;
  /// A copy with its own memory, without gradients.
  virtual std::unique_ptr<ModelResource> clone() const = 0;
  /// Every parameter must be there in its shape; computed arrays (position tables) are ignored.
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

/// Any kind of predictor: see PredictorOf.
class PredictorResource : public ModelResource {
 public:
  static constexpr const char* kind = "predictor";

  explicit PredictorResource(std::vector<int64_t> blocks) : blocks(std::move(blocks)) {}
  virtual Tensor predict(const model::PredictorInputs& in) const = 0;
  /// Whether predict() depends on its noise.
  virtual bool draws() const = 0;
  State save() const override;

  std::vector<int64_t> blocks;  // that it predicts, increasing; empty when it predicts something else
};

/// M is a predictor of nodes/model: made from its config, with parameters(), to() and predict(PredictorInputs).
template <class M>
class PredictorOf final : public PredictorResource {
 public:
  using Config = std::remove_cvref_t<decltype(std::declval<const M&>().config())>;

  PredictorOf(const Config& config, std::vector<int64_t> blocks) : PredictorResource(std::move(blocks)), model(config) {}
  model::Parameters& parameters() override { return model.parameters(); }
  Tensor predict(const model::PredictorInputs& in) const override { return model.predict(in); }
  bool draws() const override {
    if constexpr (requires(const Config& config) { config.noise; }) return model.config().noise > 0;
    return false;
  }
  std::unique_ptr<ModelResource> clone() const override {
    auto copy = std::make_unique<PredictorOf>(model.config(), blocks);
    const Tensor& like = model.parameters()[0];
    copy->model.to(like.device(), like.scalar_type());
    copy->model.parameters().copy_from(model.parameters());
    return copy;
  }

  M model;
};

/// "blocks" and "out" of the predictors: the blocks to predict, and the width of the output.
struct PredictorOutput {
  std::vector<int64_t> blocks;
  int64_t out = 0;

  void describe(auto& param) {
    param("blocks", blocks, positive, "Hidden blocks of the teacher to predict, 1-based and increasing; the output has one encoder width for each.");
    param("out", out, not_negative,
          "Values per target patch when no blocks are given: the width for merged blocks, 768 for pixels of 16x16 patches.");
  }
  std::optional<ParamFault> check() const;
  int64_t width(int64_t encoder_width) const { return out > 0 ? out : static_cast<int64_t>(blocks.size()) * encoder_width; }
};

/// Refuses missing masks, and masks on another grid than the `grid` x `grid` of `owner`: their indices would mean other
/// places.
void check_masks(const DeviceMasks& masks, int64_t grid, const std::string& owner);

/// The device of the run's tensors.
at::Device torch_device(const RunInfo& run);

/// The seed of a model's initial weights: models of different names have different initial weights, independent of
/// other models.
uint64_t weight_seed(const OpenContext& context);

/// Throws NodeError when the training data have more classes than a head, as far as the labels' table is known.
void require_classes(const RunInfo& run, int64_t classes);

/// The choices of a model's "init"; see model::InitScheme.
const Choices& init_choices();

}  // namespace flowrun
