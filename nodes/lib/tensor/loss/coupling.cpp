#include "nodes/lib/tensor/loss/coupling.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <utility>

#include "graph/text/error.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/ranks/ranks.h"

namespace flowrun::loss {

void Coupling::take(std::initializer_list<const Vectors*> inputs, const FoldContext& context) {
  if (context.index == 0) inputs_.clear(), inputs_.resize(inputs.size()), views_ = (*inputs.begin())->views;
  size_t i = 0;
  for (const Vectors* input : inputs) {
    const Tensor rows = input->values_nD.detach();
    std::vector<Tensor>& groups = inputs_[i++].groups_nD;
    groups.push_back(at_least_float(rows));
    if (groups.back().size(0) != groups[0].size(0) || input->views != views_) {
      throw NodeError("a group has " + std::to_string(rows.size(0)) + " rows of " + std::to_string(input->views) + " views, the first one " +
                      std::to_string(groups[0].size(0)) + " of " + std::to_string(views_));
    }
  }
}

void Coupling::run(const WholeContext& context, const std::function<Tensor(const std::vector<Tensor>&)>& loss) {
  std::vector<Tensor> all;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    all.push_back(ranks::device_rows(context.run, at::cat(inputs_[i].groups_nD), "the rows of all groups").detach());
    if (i < trained_) all.back().requires_grad_(true);
  }
  const Float32 float32;
  const at::AutoGradMode gradients(true);
  Tensor value;
  try {
    value = loss(all);
  } catch (const std::invalid_argument& error) {
    throw NodeError(error.what());
  }
  value.backward();
  value_ = value.detach();
  for (size_t i = 0; i < trained_; ++i) {
    const int64_t group = inputs_[i].groups_nD[0].size(0);
    inputs_[i].slopes_nD = all[i].grad().narrow(0, group * context.first_group, group * context.groups).mul(static_cast<double>(context.all_groups));
  }
}

void Coupling::give(const FoldContext& context, Coupled& out) {
  out.release();
  out.shown = value_;
  for (size_t i = 0; i < trained_; ++i) {
    Tensor& rows = inputs_[i].groups_nD[static_cast<size_t>(context.index)];
    const int64_t count = rows.size(0);
    out.slopes_nD.push_back(inputs_[i].slopes_nD.narrow(0, count * context.index, count));
    out.rows_nD.push_back(std::exchange(rows, {}));
  }
  if (context.index + 1 == context.count) inputs_.clear(), value_.reset();
}

}  // namespace flowrun::loss
