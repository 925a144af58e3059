// The common part of losses between relations among the rows of a group. A node derives from OnRows.
#pragma once

#include <utility>
#include <vector>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/types/feature_maps.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun::loss {

/// Vectors or maps of both networks; the same kind.
struct RelationPorts {
  In<Vectors> student{"student", "The student's vectors, n D.", optional};
  In<Vectors> teacher{"teacher", "The teacher's, without gradient; D may be another.", optional};
  In<FeatureMaps> student_maps{"student_maps", "In place of vectors: maps of stages, each image's map as one row.", optional};
  In<FeatureMaps> teacher_maps{"teacher_maps", "The teacher's maps, as many.", optional};
  Out<Loss> loss{"loss", "A scalar."};
  void describe(auto& port) { port(student, teacher, student_maps, teacher_maps, loss); }
};

/// Faults before a run: neither or both kinds are connected, or they don't fit.
void check_relations(NodePlan& plan);

/// The rows of both to compare, [n, D]: one pair of vectors, or one of each map. Throws NodeError where they don't fit.
std::vector<std::pair<Tensor, Tensor>> relation_rows(const RelationPorts& port);

/// A node adds its `info` and `Tensor value(student_nD, teacher_nD) const`, and names its parameters if it has more than the weight.
template <class Node, class P = Weight>
struct OnRows {
  using Ports = RelationPorts;
  using Params = P;
  Params params;

  void plan(NodePlan& plan) const { check_relations(plan); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    Tensor sum;
    for (const auto& [student, teacher] : relation_rows(port)) {
      const Tensor value = static_cast<const Node&>(*this).value(student, teacher);
      sum = sum.defined() ? sum.add(value) : value;
    }
    params.give(sum, context, *port.loss);
  }
};

}  // namespace flowrun::loss
