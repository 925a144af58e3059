// The newest keys of a contrastive method, as negatives: state, not a model that computes.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// Buffers rows [Q, d], of length 1, and next, the place of the oldest row. It has no parameters; passes that read it see the rows
/// of the step before.
class Queue final : public Module {
 public:
  static constexpr const char* kind = "queue";

  /// The first rows are random, keyed by `seed`. Throws std::invalid_argument for a size below 1.
  Queue(int64_t rows, int64_t width, uint64_t seed);

  const Tensor& rows_Qd() const { return buffers_[0]; }
  int64_t size() const { return rows_Qd().size(0); }
  int64_t width() const { return rows_Qd().size(1); }
  /// Replaces the oldest rows by `keys_nd`, in their order, past the end from the beginning on. Throws std::invalid_argument for
  /// more keys than rows, or another width. Device's thread, without gradient.
  void push(const Tensor& keys_nd);

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Queue>(size(), width(), 0); }
};

}  // namespace flowrun::model
