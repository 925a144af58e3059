#include "nodes/model_resources.h"

#include "nodes/tensor_state.h"

namespace flowrun {

void ModelResource::restore(const State& state) {
  for (const model::Parameter& parameter : parameters()) {
    const auto found = state.find(parameter.name);
    if (found == state.end()) throw std::runtime_error("the checkpoint has no array \"" + parameter.name + "\"");
    try {
      parameters().assign(parameter.name, to_tensor(found->second));
    } catch (const std::invalid_argument& error) {
      throw std::runtime_error(std::string("the checkpoint fits another model: ") + error.what());
    }
  }
}

std::unique_ptr<ModelResource> VitResource::clone() const {
  auto copy = std::make_unique<VitResource>(vit.config());
  const Tensor& like = vit.parameters()[0];
  copy->vit.to(like.device(), like.scalar_type());
  copy->vit.parameters().copy_from(vit.parameters());
  return copy;
}

State VitResource::save() const { return to_state(model::timm_state(vit)); }

std::unique_ptr<ModelResource> PredictorResource::clone() const {
  auto copy = std::make_unique<PredictorResource>(predictor.config(), blocks);
  const Tensor& like = predictor.parameters()[0];
  copy->predictor.to(like.device(), like.scalar_type());
  copy->predictor.parameters().copy_from(predictor.parameters());
  return copy;
}

State PredictorResource::save() const {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const model::Parameter& parameter : predictor.parameters()) tensors.emplace_back(parameter.name, parameter.value);
  return to_state(tensors);
}

at::Device torch_device(const RunInfo& run) { return run.device == "cuda" ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }

uint64_t weight_seed(const OpenContext& context) {
  const uint64_t parts[] = {context.run.seed, context.stream};
  return hash_bytes(parts, sizeof parts);
}

const Choices& init_choices() {
  static const Choices choices = {"ijepa", "ijepa_rescaled", "mae"};
  return choices;
}

}  // namespace flowrun
