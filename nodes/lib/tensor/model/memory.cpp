#include "nodes/lib/tensor/model/memory.h"

#include <ATen/ops/zeros.h>
#include <stdexcept>

namespace flowrun::model {

Memory::Memory(int64_t samples, int64_t classes) {
  if (samples < 1 || classes < 1) throw std::invalid_argument("a memory needs samples and classes");
  buffers_.add("probabilities", at::zeros({samples, classes}, table_options(at::kFloat)));
}

}  // namespace flowrun::model
