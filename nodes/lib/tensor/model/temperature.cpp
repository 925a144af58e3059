#include "nodes/lib/tensor/model/temperature.h"

#include <ATen/core/grad_mode.h>
#include <cmath>
#include <stdexcept>

namespace flowrun::model {

Temperature::Temperature(double initial, double least) : Module("temperature"), initial_(initial), least_(least) {
  if (least <= 0 || initial < least) throw std::invalid_argument("a temperature must be positive, and not begin below its least value");
  parameters_.add_constant("logit_scale", {1}, -std::log(initial));
}

void Temperature::constrain() {
  const at::NoGradGuard no_grad;
  Tensor scale = parameters_[0];
  scale.clamp_max_(-std::log(least_));
}

}  // namespace flowrun::model
