// Tables with a row for each sample of the source.
#pragma once

#include <string>

#include "graph/contract/context.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::model {

/// The face of states that hold such tables.
class PerSample {
 public:
  virtual ~PerSample() = default;
  virtual int64_t samples() const = 0;
  /// Of all its tables. A run whose run.memory_mib is less is refused.
  virtual double table_bytes() const = 0;
};

/// Where tables are made: on the host; without memory where a model is opened for its shapes alone.
at::TensorOptions table_options(at::ScalarType type);

/// For a node's open(): throws NodeError unless the source that `ids` comes from has as many samples as the table, which is `name` in the
/// pipeline.
void require_samples(const OpenContext& context, const PerSample& table, const std::string& name);

/// Rows of `table_MD` become those of `rows_nD`, at ids_n [n] int64, in place; of an id that is there twice the last row. Device's thread,
/// without gradient.
void write_rows(const Tensor& table_MD, const Tensor& ids_n, const Tensor& rows_nD);

}  // namespace flowrun::model
