#include "nodes/model_resources.h"

#include <ATen/ops/scalar_tensor.h>

#include "nodes/device/cuda_module.h"
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

State VitResource::save() const {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const model::Parameter& parameter : vit.parameters()) tensors.emplace_back(parameter.name, parameter.value);
  if (!vit.config().learned_positions) tensors.emplace_back("pos_embed", vit.positions_ND().unsqueeze(0));
  const model::VitConfig& config = vit.config();
  const auto note = [&](const char* name, double value) { tensors.emplace_back(name, at::scalar_tensor(value, at::kDouble)); };
  note("@heads", static_cast<double>(config.heads));
  note("@norm_eps", config.norm_eps);
  if (config.lora_rank > 0) note("@lora_scale", config.lora_alpha / static_cast<double>(config.lora_rank));
  return to_state(tensors);
}

State PredictorResource::save() const {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const model::Parameter& parameter : const_cast<PredictorResource*>(this)->parameters()) tensors.emplace_back(parameter.name, parameter.value);
  return to_state(tensors);
}

std::optional<ParamFault> PredictorOutput::check() const {
  if (blocks.empty() == (out == 0)) return ParamFault{"blocks", "give either blocks or out"};
  for (size_t i = 1; i < blocks.size(); ++i) {
    if (blocks[i] <= blocks[i - 1]) return ParamFault{"blocks", "blocks must increase"};
  }
  return {};
}

void check_masks(const DeviceMasks& masks, int64_t grid, const std::string& owner) {
  if (!masks.visible_BK.defined()) throw NodeError("there are no masks: connect device.upload's input \"mask\"");
  if (masks.grid != grid) {
    const auto square = [](int64_t side) { return std::to_string(side) + "x" + std::to_string(side); };
    throw NodeError("the masks are for a grid of " + square(masks.grid) + " patches, " + owner + " has " + square(grid) +
                    ": give both the same patch size, and the model images of the same size");
  }
}

at::Device torch_device(const RunInfo& run) {
  return run.device == "cuda" ? at::Device(at::kCUDA, static_cast<at::DeviceIndex>(gpu_of_rank().load())) : at::Device(at::kCPU);
}

uint64_t weight_seed(const OpenContext& context) {
  const uint64_t parts[] = {context.run.seed, context.stream};
  return hash_bytes(parts, sizeof parts);
}

const Choices& init_choices() {
  static const Choices choices = {"ijepa", "ijepa_rescaled", "mae"};
  return choices;
}

void require_classes(const RunInfo& run, int64_t classes) {
  const auto found = static_cast<int64_t>(run.classes.size());
  if (found <= classes) return;
  throw NodeError("classes is " + std::to_string(classes) + ", but the training data have " + std::to_string(found) + ", from " +
                  run.classes.front() + " to " + run.classes.back() + "; set classes");
}

}  // namespace flowrun
