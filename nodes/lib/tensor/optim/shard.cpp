#include "nodes/lib/tensor/optim/shard.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <unordered_map>

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

Shards::Shards(const RunInfo& run, std::vector<std::string> names, std::vector<Tensor> values)
    : names_(std::move(names)), values_(std::move(values)), owners_(shard_owners(sizes_of(values_), run.world)), rank_(run.rank) {}

bool Shards::mine(size_t parameter) const { return owners_.at(parameter) == rank_; }

void Shards::share(const RunInfo& run) const { ranks::share(run, values_, owners_, "the exchange of updated weights"); }

void Shards::gather(const RunInfo& run, const std::vector<std::pair<std::string, Tensor>>& own) {
  const at::NoGradGuard no_grad;
  const std::unordered_map<std::string, Tensor> states(own.begin(), own.end());
  const auto state = [&](size_t i, const char* field) {
    const auto found = states.find(names_[i] + field);
    return found == states.end() ? Tensor() : found->second;
  };
  // Parameters that no loss has reached yet have no state.
  Tensor steps = at::zeros({static_cast<int64_t>(names_.size())}, at::kDouble);
  for (size_t i = 0; i < names_.size(); ++i) {
    if (const Tensor step = state(i, ".step"); step.defined()) steps[static_cast<int64_t>(i)].copy_(step);
  }
  steps = ranks::sum(run, steps, "the states of the optimizer");
  forget();
  std::vector<size_t> there;
  std::vector<Tensor> like;
  std::vector<int> owners;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (steps[static_cast<int64_t>(i)].item<double>() > 0) there.push_back(i), like.push_back(values_[i]), owners.push_back(owners_[i]);
  }
  for (const char* const field : {".exp_avg", ".exp_avg_sq"}) {
    std::vector<Tensor> mine;
    for (const size_t i : there) mine.push_back(state(i, field));
    const std::vector<Tensor> all = ranks::gather_to_first(run, mine, like, owners, "the states of the optimizer");
    for (size_t k = 0; k < all.size(); ++k) gathered_.emplace_back(names_[there[k]] + field, all[k]);
  }
  for (const size_t i : there) gathered_.emplace_back(names_[i] + ".step", steps[static_cast<int64_t>(i)].to(at::kFloat));
  whole_ = true;
}

const std::vector<std::pair<std::string, Tensor>>& Shards::gathered() const {
  if (!whole_) throw std::logic_error("the states of the other ranks were not gathered");
  return gathered_;
}

}  // namespace flowrun::train
