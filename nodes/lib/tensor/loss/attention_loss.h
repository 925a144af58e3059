// The common part of losses between the attention of a student's and of a teacher's blocks. A node derives from OnAttention.
#pragma once

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/model/block_taps.h"

namespace flowrun::loss {

/// Faults before a run of inputs "student" and "teacher": no blocks, other counts of them, of tokens, or, with `heads`, of heads.
void check_attention(NodePlan& plan, bool heads);

/// The same at the run; throws NodeError.
void require_attention(const AttentionTaps& student, const AttentionTaps& teacher);

/// A node adds its `info`, `bool needs_heads() const` (whether both need equally many) and `Tensor value(student, teacher) const` of one block
/// of each, and its parameters.
template <class Node, class P>
struct OnAttention {
  struct Ports {
    In<AttentionTaps> student{"student", "Of the student's blocks, from an encoder's node with attention."};
    In<AttentionTaps> teacher{"teacher", "Of as many of the teacher's, without gradient."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  using Params = P;
  Params params;

  void plan(NodePlan& plan) const { check_attention(plan, node().needs_heads()); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    require_attention(*port.student, *port.teacher);
    Tensor sum;
    for (size_t i = 0; i < port.student->values.size(); ++i) {
      const Tensor value = node().value(port.student->values[i], port.teacher->values[i]);
      sum = sum.defined() ? sum.add(value) : value;
    }
    params.give(sum, context, *port.loss);
  }

 private:
  const Node& node() const { return static_cast<const Node&>(*this); }
};

}  // namespace flowrun::loss
