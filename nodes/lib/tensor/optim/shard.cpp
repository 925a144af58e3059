#include "nodes/lib/tensor/optim/shard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "nodes/lib/tensor/ranks/ranks.h"

namespace flowrun::train {
namespace {

std::vector<int64_t> sizes_of(const std::vector<Tensor>& tensors) {
  std::vector<int64_t> out;
  for (const Tensor& tensor : tensors) out.push_back(tensor.numel());
  return out;
}

}  // namespace

std::vector<int> shard_owners(const std::vector<int64_t>& sizes, int64_t world) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<int64_t> load(static_cast<size_t>(world));
  std::vector<int> out(sizes.size());
  for (const size_t i : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += sizes[i];
    out[i] = static_cast<int>(least - load.begin());
  }
  return out;
}

Shards::Shards(const RunInfo& run, std::vector<std::string> names, std::vector<Tensor> values, std::vector<StateSlot> slots)
    : names_(std::move(names)),
      values_(std::move(values)),
      slots_(std::move(slots)),
      owners_(shard_owners(sizes_of(values_), run.world)),
      rank_(run.rank) {}

bool Shards::mine(size_t parameter) const { return owners_.at(parameter) == rank_; }

void Shards::share(const RunInfo& run) const { ranks::share(run, values_, owners_, "the exchange of updated weights"); }

Tensor Shards::state(const States& states, size_t parameter, const StateSlot& slot) const {
  const auto found = states.find(names_[parameter] + "." + slot.name);
  return found == states.end() ? Tensor() : found->second;
}

Tensor Shards::sum_scalars(const RunInfo& run, const States& states) const {
  const auto scalars = std::count_if(slots_.begin(), slots_.end(), [](const StateSlot& slot) { return slot.scalar; });
  Tensor out = at::zeros({static_cast<int64_t>(names_.size()), 1 + scalars}, at::kDouble);
  for (size_t i = 0; i < names_.size(); ++i) {
    const Tensor row = out[static_cast<int64_t>(i)];
    int64_t column = 1;
    for (const StateSlot& slot : slots_) {
      const Tensor value = state(states, i, slot);
      if (value.defined()) row[0].fill_(1);
      if (slot.scalar && value.defined()) row[column].copy_(value);
      column += slot.scalar ? 1 : 0;
    }
  }
  return ranks::sum(run, out, "the states of the optimizer");
}

void Shards::gather(const RunInfo& run, const std::vector<std::pair<std::string, Tensor>>& own) {
  const at::NoGradGuard no_grad;
  const States states(own.begin(), own.end());
  const Tensor scalars = sum_scalars(run, states);
  forget();
  // Parameters that no loss has reached yet have no state.
  std::vector<size_t> there;
  std::vector<Tensor> like;
  std::vector<int> owners;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (scalars[static_cast<int64_t>(i)][0].item<double>() > 0) there.push_back(i), like.push_back(values_[i]), owners.push_back(owners_[i]);
  }
  int64_t column = 1;
  for (const StateSlot& slot : slots_) {
    const auto keep = [&](size_t i, const Tensor& value) { gathered_.emplace_back(names_[i] + "." + slot.name, value); };
    if (slot.scalar) {
      for (const size_t i : there) keep(i, scalars[static_cast<int64_t>(i)][column].to(at::kFloat));
      ++column;
      continue;
    }
    std::vector<Tensor> mine;
    for (const size_t i : there) mine.push_back(state(states, i, slot));
    const std::vector<Tensor> all = ranks::gather_to_first(run, mine, like, owners, "the states of the optimizer");
    for (size_t k = 0; k < all.size(); ++k) keep(there[k], all[k]);
  }
  whole_ = true;
}

const std::vector<std::pair<std::string, Tensor>>& Shards::gathered() const {
  if (!whole_) throw std::logic_error("the states of the other ranks were not gathered");
  return gathered_;
}

}  // namespace flowrun::train
