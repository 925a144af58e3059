// The process groups of a run, for nodes/ranks alone: c10d's headers take long to compile.
#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>

#include "graph/contract/ranks.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::ranks {

/// The ranks of a run with tensors. Control words go through Gloo; gradients through a group of their own, which is NCCL
/// on GPUs.
class TensorRanks : public Ranks {
 public:
  using Ranks::Ranks;
  /// Waits for it. A failure becomes a RankError that names who is missing; `what` says what they were doing together.
  virtual void all_reduce(Tensor& host, const std::string& what) = 0;
  virtual std::vector<Tensor> all_gather(const Tensor& host, const std::string& what) = 0;
  /// Rank 0 gets all ranks' tensors of one shape, the others nothing.
  virtual std::vector<Tensor> gather_to_first(const Tensor& host, const std::string& what) = 0;
  /// Made by the first call, which is collective too.
  virtual c10::intrusive_ptr<c10d::ProcessGroup> gradient_group(const std::string& device) = 0;
  /// Around a collective that isn't one of the above: where this rank is, for the messages of others when it is late. `what`
  /// as above; `kind` is what the collective is, "all-reduce".
  virtual void begin(const std::string& what) = 0;
  virtual void end(const std::string& what) = 0;
  /// The words for one that failed so.
  [[noreturn]] virtual void missing(const std::string& what, const std::string& kind, const std::string& why) = 0;

  std::vector<std::function<void()>> before_snapshot;
};

}  // namespace flowrun::ranks
