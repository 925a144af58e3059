// Collective operations on tensors, for nodes. Every rank must make the same calls in the same order, on the device's
// thread. In a run of one process each is the identity.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/contract/context.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::ranks {

/// Sum over the ranks; float64 on the CPU. Throws RankError.
Tensor sum(const RunInfo& run, const Tensor& mine, const std::string& what);
/// The mean over the ranks, in place; for gradients that no GradientExchange takes. Throws RankError.
void average(const RunInfo& run, const std::vector<Tensor>& tensors, const std::string& what);
/// The largest of the ranks' numbers. Throws RankError.
int64_t most(const RunInfo& run, int64_t mine, const std::string& what);
/// The rows of all ranks, rank after rank: [n, …] with the same trailing axes and type, n may differ, also be 0 (then `mine` may be
/// undefined; if it is so on all ranks, the result is). On the device of the run. Throws RankError.
Tensor rows(const RunInfo& run, const Tensor& mine, const std::string& what);
/// The same for lists of rows, which it consumes: `mine` is empty afterwards.
Tensor rows(const RunInfo& run, std::vector<Tensor>& mine, const std::string& what);

/// The rows of all ranks, rank after rank, where they are (NCCL on GPUs): [n, …], the same shape and type on all. Throws RankError.
Tensor device_rows(const RunInfo& run, const Tensor& mine, const std::string& what);
/// Sum over the ranks where the tensor is, in its type; the same shape on all. Also within a backward pass. Throws RankError.
Tensor device_sum(const RunInfo& run, const Tensor& mine, const std::string& what);

/// Copies each tensor from its owner to every rank, in place; `owners` are ranks. The same shapes on all, one type. Throws
/// RankError.
void share(const RunInfo& run, const std::vector<Tensor>& tensors, const std::vector<int>& owners, const std::string& what);
/// On rank 0 the tensors that the owners have, in the host's memory; on the others nothing. `mine` is undefined where another
/// rank is the owner; `like` are tensors of the same shapes, one type. Throws RankError.
std::vector<Tensor> gather_to_first(const RunInfo& run, const std::vector<Tensor>& mine, const std::vector<Tensor>& like,
                                    const std::vector<int>& owners, const std::string& what);

/// All ranks will do `work` before rank 0 reads the run's state; it is collective. For nodes whose state is spread over
/// several ranks; call it in open().
void on_snapshot(const RunInfo& run, std::function<void()> work);
/// Does that work. False: it is no longer possible, since this rank has failed and the others don't know yet. Throws
/// RankError.
bool prepare_snapshot(const RunInfo& run);

/// Makes gradients the mean over the ranks, while the backward pass runs: c10d::Reducer, whose buckets are exchanged as
/// soon as they are full.
class GradientExchange {
 public:
  virtual ~GradientExchange() = default;
  /// A backward pass. Gradients add up; in the `last` pass of a step they become the mean over the ranks. Throws
  /// RankError.
  virtual void backward(const Tensor& loss, bool last) = 0;
};

/// In a run of one process it only runs the passes. `parameters`: those that need a gradient, in the order of the forward
/// pass.
std::unique_ptr<GradientExchange> gradient_exchange(const RunInfo& run, std::vector<Tensor> parameters, std::vector<std::string> names);

}  // namespace flowrun::ranks
