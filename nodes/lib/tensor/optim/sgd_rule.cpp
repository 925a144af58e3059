#include "nodes/lib/tensor/optim/sgd_rule.h"

#include <ATen/ops/_fused_sgd.h>

namespace flowrun::train {

const std::vector<StateSlot>& SgdRule::slots() const {
  static const std::vector<StateSlot> none, momentum = {{"momentum_buffer"}};
  return options_.momentum == 0 ? none : momentum;
}

void SgdRule::update(const Bucket& bucket, double lr, double weight_decay) const {
  const at::TensorList momenta = bucket.states.empty() ? at::TensorList() : at::TensorList(bucket.states[0]);
  // A first step needs no case of its own: the momenta are zero then.
  at::_fused_sgd_(bucket.values, bucket.gradients, momenta, weight_decay, options_.momentum, lr, /*dampening=*/0, options_.nesterov,
                  /*maximize=*/false, /*is_first_step=*/false);
}

}  // namespace flowrun::train
