#include "nodes/lib/tensor/model/queue.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <stdexcept>

#include "graph/contract/rng.h"
#include "nodes/lib/tensor/model/rows.h"

namespace flowrun::model {
namespace {

Tensor random_rows(int64_t rows, int64_t width, uint64_t seed) {
  Tensor out = at::empty({rows, width}, at::kDouble);
  auto* value = out.mutable_data_ptr<double>();
  for (int64_t row = 0; row < rows; ++row) {
    Rng rng(seed, hash_text("queue"), 0, static_cast<uint64_t>(row));
    for (int64_t i = 0; i < width; ++i) *value++ = rng.normal();
  }
  return unit_rows(out).to(at::kFloat);
}

}  // namespace

Queue::Queue(int64_t rows, int64_t width, uint64_t seed) {
  if (rows < 1 || width < 1) throw std::invalid_argument("a queue needs rows and a width");
  buffers_.add("rows", random_rows(rows, width, seed));
  buffers_.add("next", at::zeros({1}, at::kLong));
}

void Queue::push(const Tensor& keys_nd) {
  const at::NoGradGuard no_grad;
  const int64_t count = keys_nd.size(0);
  if (keys_nd.size(1) != width()) {
    throw std::invalid_argument("the keys have width " + std::to_string(keys_nd.size(1)) + ", the rows of the queue " + std::to_string(width()));
  }
  if (count > size()) {
    throw std::invalid_argument("a step has " + std::to_string(count) + " keys, and the queue only " + std::to_string(size()) + " rows");
  }
  // The place stays on the device: nothing waits for it.
  const Tensor &rows = buffers_[0], &next = buffers_[1];
  const Tensor places = at::arange(count, next.options()).add(next).remainder(size());
  rows.index_copy_(0, places, keys_nd.to(rows.device(), rows.scalar_type()));
  next.add_(count).remainder_(size());
}

}  // namespace flowrun::model
