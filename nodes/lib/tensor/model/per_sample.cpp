#include "nodes/lib/tensor/model/per_sample.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>

#include "graph/text/error.h"
#include "nodes/lib/tensor/model/parameters.h"

namespace flowrun::model {

at::TensorOptions table_options(at::ScalarType type) { return at::TensorOptions(type).device(ShapesOnly::active() ? at::kMeta : at::kCPU); }

void require_samples(const OpenContext& context, const PerSample& table, const std::string& name) {
  const SourceData* const data = context.input("ids");
  if (data == nullptr || data->count == static_cast<uint64_t>(table.samples())) return;
  throw NodeError(name + " has a row for each of " + std::to_string(table.samples()) + " samples, but the source of ids has " +
                  std::to_string(data->count) + ": set samples of " + name + " to " + std::to_string(data->count));
}

void write_rows(const Tensor& table_MD, const Tensor& ids_n, const Tensor& rows_nD) {
  const at::NoGradGuard no_grad;
  // Writes of equal values may come in any order.
  const Tensor places_n = at::arange(ids_n.size(0), ids_n.options());
  const Tensor last_n = ids_n.unsqueeze(1).eq(ids_n.unsqueeze(0)).mul(places_n).amax(1);
  table_MD.index_copy_(0, ids_n, rows_nD.index_select(0, last_n).to(table_MD.scalar_type()));
}

}  // namespace flowrun::model
