#include "nodes/lib/tensor/model/random.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>

namespace flowrun::model {

Tensor keyed_normal(const std::vector<int64_t>& shape, double deviation, uint64_t key, const at::TensorOptions& options) {
  const at::NoGradGuard no_grad;
  Tensor out = at::empty(shape, options);
  at::Generator generator =
      out.is_cuda() ? at::detail::getCUDAHooks().getNewGenerator(out.get_device()) : at::make_generator<at::CPUGeneratorImpl>(key);
  generator.set_current_seed(key);
  return out.normal_(0.0, deviation, generator);
}

}  // namespace flowrun::model
