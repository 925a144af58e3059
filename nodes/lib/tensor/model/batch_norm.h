// Batch norms with the statistics of one pass, whose running statistics move once a step.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "graph/contract/context.h"
#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/sync_batch_norm.h"

namespace flowrun::model {

/// The batch norms of a model. Each pass takes its own statistics, or the running ones. What a pass measured moves the running
/// statistics in settle(), in the order of groups, nodes and views, so that neither threads nor ranks change them. Numbers are
/// those of torch.nn.BatchNorm1d and 2d: eps 1e-5, momentum 0.1, the running variance over n - 1.
class BatchNorms {
 public:
  /// Parameters and buffers are added to these, which must outlive this.
  BatchNorms(Parameters& parameters, Buffers& buffers) : parameters_(parameters), buffers_(buffers) {}
  BatchNorms(const BatchNorms&) = delete;
  BatchNorms& operator=(const BatchNorms&) = delete;

  /// Names are PyTorch's: NAME.weight, NAME.bias, NAME.running_mean, NAME.running_var, NAME.num_batches_tracked. `gain`: first
  /// value of the weights. Without `shift` there is no bias. Returns the number of the norm.
  size_t add(const std::string& name, int64_t channels, bool affine = true, double gain = 1, bool shift = true);
  bool empty() const { return norms_.empty(); }

  /// x [B, C] or [B, C, H, W] -> the same, float32. Collective where the pass has a run of several ranks. Throws NodeError if a channel has one value
  /// only, and the pass measures. Any thread.
  Tensor apply(size_t norm, const Tensor& x, const NormPass& pass) const;

  /// From now on measured statistics are kept for settle(). A node that calls settle() each step calls this first.
  void collect() { collects_ = true; }
  /// Moves the running statistics by what the passes of this step measured, on all ranks. Collective; no pass may run.
  void settle(const RunInfo& run);

 private:
  struct Norm {
    int64_t channels;
    std::optional<size_t> weight, bias;
    size_t mean;  // running_mean; running_var and num_batches_tracked follow
  };
  using Place = std::tuple<uint64_t, uint64_t, uint64_t>;  // group, stream, view
  Tensor measured() const;
  void keep(size_t norm, const NormPass& pass, const Measured& measured) const;

  Parameters& parameters_;
  Buffers& buffers_;
  std::vector<Norm> norms_;
  bool collects_ = false;
  mutable std::mutex mutex_;
  mutable std::map<Place, std::vector<Tensor>> measured_;  // [2, C] of each norm: mean, variance over n - 1
};

}  // namespace flowrun::model
