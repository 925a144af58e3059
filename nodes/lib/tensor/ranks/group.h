// The process groups of a run, for nodes/lib/tensor/ranks alone: c10d's headers take long to compile.
#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include "graph/contract/ranks.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::ranks {

/// The ranks of a run with tensors. Control words go through Gloo; gradients through a process group of their own, which
/// uses NCCL on GPUs.
class TensorRanks : public Ranks {
 public:
  using Ranks::Ranks;
  /// Waits for the collective. A failure becomes a RankError that names the missing ranks; `what` is the purpose of the
  /// call.
  virtual void all_reduce(Tensor& host, const std::string& what) = 0;
  virtual std::vector<Tensor> all_gather(const Tensor& host, const std::string& what) = 0;
  /// Rank 0 gets all ranks' tensors of one shape, the others nothing.
  virtual std::vector<Tensor> gather_to_first(const Tensor& host, const std::string& what) = 0;
  /// Made by the first call, which is collective too.
  virtual c10::intrusive_ptr<c10d::ProcessGroup> gradient_group(const std::string& device) = 0;
  /// Called around a collective other than the above: publishes where this rank is, for the messages of others when it is
  /// late. `what` as above; `kind` is the kind of collective, such as "all-reduce".
  virtual void begin(const std::string& what) = 0;
  virtual void end(const std::string& what) = 0;
  /// The message for such a failure.
  [[noreturn]] virtual void missing(const std::string& what, const std::string& kind, const std::string& why) = 0;

  std::vector<std::function<void()>> before_snapshot;
};

}  // namespace flowrun::ranks
