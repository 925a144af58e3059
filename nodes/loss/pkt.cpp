#include "graph/node.h"
#include "nodes/lib/tensor/loss/relation_loss.h"
#include "nodes/lib/tensor/loss/relations.h"

namespace flowrun {
namespace {

struct Pkt : loss::OnRows<Pkt> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.pkt",
       .brief = "Divergence between the neighbour probabilities of the rows in student and teacher: probabilistic knowledge transfer.",
       .details = "Cosines between all rows of the group as (c + 1) / 2, rows of that matrix divided by their sum; the mean over all pairs of "
                  "t log((t + 1e-7) / (s + 1e-7)), in float32 (Passalis and Tefas, 2018). Published: weight 30000, vectors before the classifier, "
                  "groups of 64."});
  Tensor value(const Tensor& student_nD, const Tensor& teacher_nD) const { return loss::probabilistic_transfer(student_nD, teacher_nD); }
};

FLOWRUN_NODE(Pkt);

}  // namespace
}  // namespace flowrun
