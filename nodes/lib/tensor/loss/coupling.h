// The common part of whole nodes that are losses: rows come in group by group, gradients go out group by group.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "graph/node.h"
#include "nodes/lib/tensor/types/coupled.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun::loss {

/// Holds the rows of one step. Every rank gathers the rows of all groups, in the order of the step, and computes the whole loss: equal
/// input, equal shapes, equal bits on any number of ranks. So nothing but rows is exchanged. On the device's thread.
class Coupling {
 public:
  /// The first `trained` inputs of take() get gradients.
  explicit Coupling(size_t trained = 1) : trained_(trained) {}

  /// The inputs of a group, in the order of the node's ports. Throws NodeError for another number of rows or
  /// views than the first group has.
  void take(std::initializer_list<const Vectors*> inputs, const FoldContext& context);
  /// The loss of all rows, one matrix of each input, and its gradients; in float32. Collective: throws RankError.
  void run(const WholeContext& context, const std::function<Tensor(const std::vector<Tensor>& inputs_nD)>& loss);
  void give(const FoldContext& context, Coupled& out);

  /// Of a picture, in the rows of the first input.
  int64_t views() const { return views_; }

 private:
  struct Input {
    std::vector<Tensor> groups_nD;  // of this rank, without gradient history
    Tensor slopes_nD;               // of all groups of this rank
  };
  size_t trained_;
  std::vector<Input> inputs_;
  int64_t views_ = 0;
  Tensor value_;
};

/// The common members of whole nodes that are losses of one input. A node adds its info, its parameters, plan(), and run() that calls
/// coupling_.run().
struct CoupledNode {
  struct Ports {
    In<Vectors> vectors{"vectors", "n D, one row for each view of a picture; those of several sizes by vectors.join along rows."};
    Out<Coupled> coupled{"coupled", "For loss.couple."};
    void describe(auto& port) { port(vectors, coupled); }
  };
  void fold(Ports& port, const FoldContext& context) { coupling_.take({&*port.vectors}, context); }
  void give(Ports& port, const FoldContext& context) { coupling_.give(context, *port.coupled); }

 protected:
  Coupling coupling_;
};

}  // namespace flowrun::loss
