#include "nodes/lib/tensor/model/model_params.h"

#include "nodes/lib/tensor/device/torch_device.h"

namespace flowrun {

std::optional<ParamFault> PredictorOutput::check() const {
  if (blocks.empty() == (out == 0)) return ParamFault{"blocks", "give either blocks or out"};
  for (size_t i = 1; i < blocks.size(); ++i) {
    if (blocks[i] <= blocks[i - 1]) return ParamFault{"blocks", "blocks must increase"};
  }
  return {};
}

uint64_t weight_seed(const OpenContext& context) {
  const uint64_t parts[] = {context.run.seed, context.stream};
  return hash_bytes(parts, sizeof parts);
}

void begin(model::Module& module, const OpenContext& context, const std::string& init) {
  module.parameters().initialise(weight_seed(context), model::init_scheme(init));
  module.constrain();
  module.to(torch_device(context.run), at::kFloat);
}

model::Positions positions_named(const std::string& name) {
  if (name == "learned") return model::Positions::learned;
  if (name == "rotary") return model::Positions::rotary;
  return name == "rotary_capi" ? model::Positions::rotary_capi : model::Positions::sincos;
}

const Choices& init_choices() {
  static const Choices choices = {"ijepa", "ijepa_rescaled", "mae", "moco_v3"};
  return choices;
}

void require_classes(const RunInfo& run, int64_t classes) {
  const auto found = static_cast<int64_t>(run.classes.size());
  if (found <= classes) return;
  throw NodeError("classes is " + std::to_string(classes) + ", but the training data have " + std::to_string(found) + ", from " +
                  run.classes.front() + " to " + run.classes.back() + "; set classes");
}

}  // namespace flowrun
