// The classifier after an encoder, as nodes refer to it.
#pragma once

#include <memory>

#include "nodes/model/classifier.h"
#include "nodes/model_resources.h"

namespace flowrun {

/// Saved under timm's names.
class ClassifierResource final : public ModelResource {
 public:
  static constexpr const char* kind = "classifier";

  explicit ClassifierResource(const model::ClassifierConfig& config) : classifier(config) {}
  model::Parameters& parameters() override { return classifier.parameters(); }
  std::unique_ptr<ModelResource> clone() const override;
  State save() const override;

  model::Classifier classifier;
};

}  // namespace flowrun
