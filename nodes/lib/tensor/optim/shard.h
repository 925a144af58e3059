// Optimizer states in parts, each on one rank (ZeRO stage 1; Rajbhandari et al. 2020).
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/contract/context.h"
#include "nodes/lib/tensor/optim/rule.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::train {

/// The rank that updates each of these parameters, from their sizes and the number of ranks alone: the largest goes first,
/// each to the rank that has least. Parameters are not cut.
std::vector<int> shard_owners(const std::vector<int64_t>& sizes, int64_t world);

/// All parameters of an optimizer, of which each rank updates its own. What is not const is collective.
class Shards {
 public:
  /// `values` are the parameters themselves; `slots` what the optimizer's rule keeps of each.
  Shards(const RunInfo& run, std::vector<std::string> names, std::vector<Tensor> values, std::vector<StateSlot> slots);

  bool mine(size_t parameter) const;
  /// Every rank gets what the others have updated. Throws RankError.
  void share(const RunInfo& run) const;
  /// The states of all, on rank 0 in its host's memory; `own` is the optimizer's state() here. Throws RankError.
  void gather(const RunInfo& run, const std::vector<std::pair<std::string, Tensor>>& own);
  /// The last gathered state: names and tensors as the optimizer's state(). Throws std::logic_error if nothing was since forget().
  const std::vector<std::pair<std::string, Tensor>>& gathered() const;
  void forget() { gathered_.clear(), whole_ = false; }

 private:
  using States = std::unordered_map<std::string, Tensor>;
  Tensor state(const States& states, size_t parameter, const StateSlot& slot) const;
  /// Per parameter, summed over the ranks: whether it has a state, then its scalars in the order of the slots.
  Tensor sum_scalars(const RunInfo& run, const States& states) const;

  std::vector<std::string> names_;
  std::vector<Tensor> values_;
  std::vector<StateSlot> slots_;
  std::vector<int> owners_;
  int rank_;
  bool whole_ = false;
  std::vector<std::pair<std::string, Tensor>> gathered_;
};

}  // namespace flowrun::train
