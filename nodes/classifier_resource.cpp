#include "nodes/classifier_resource.h"

#include "nodes/tensor_state.h"

namespace flowrun {

std::unique_ptr<ModelResource> ClassifierResource::clone() const {
  auto copy = std::make_unique<ClassifierResource>(classifier.config());
  const Tensor& like = classifier.parameters()[0];
  copy->classifier.to(like.device(), like.scalar_type());
  copy->classifier.parameters().copy_from(classifier.parameters());
  return copy;
}

State ClassifierResource::save() const {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const model::Parameter& parameter : classifier.parameters()) tensors.emplace_back(parameter.name, parameter.value);
  return to_state(tensors);
}

}  // namespace flowrun
