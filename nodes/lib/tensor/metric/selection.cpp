#include "nodes/lib/tensor/metric/selection.h"

#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "graph/contract/rng.h"

namespace flowrun::eval {

HeldOut hold_out(int64_t rows, double share, uint64_t seed) {
  if (rows < 2) throw std::invalid_argument("of " + std::to_string(rows) + " rows none can be set aside to choose on; set select_on to test");
  const auto wanted = static_cast<int64_t>(std::llround(share * static_cast<double>(rows)));
  const int64_t count = std::clamp<int64_t>(wanted, 1, rows - 1);
  Tensor is_held = at::zeros({rows}, at::kBool);
  const Permutation order(static_cast<uint64_t>(rows), seed, hash_text("eval.holdout"), 0);
  for (int64_t i = 0; i < count; ++i) is_held.mutable_data_ptr<bool>()[order(static_cast<uint64_t>(i))] = true;
  return {is_held.logical_not().nonzero().flatten(), is_held.nonzero().flatten()};
}

SelectionRows selection_rows(const Selection& selection, uint64_t seed, const Tensor& train_ND, const Tensor& train_labels, const Tensor& test_ND,
                             const Tensor& test_labels) {
  if (selection.on_test()) return {train_ND, train_labels, test_ND, test_labels};
  const HeldOut split = hold_out(train_ND.size(0), selection.holdout, seed);
  const Tensor rest = split.rest.to(train_ND.device()), held = split.held.to(train_ND.device());
  return {train_ND.index_select(0, rest), train_labels.index_select(0, rest), train_ND.index_select(0, held), train_labels.index_select(0, held)};
}

}  // namespace flowrun::eval
