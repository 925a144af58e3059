#include "graph/node.h"
#include "nodes/lib/tensor/loss/relation_loss.h"
#include "nodes/lib/tensor/loss/relations.h"

namespace flowrun {
namespace {

struct Similarity : loss::OnRows<Similarity> {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.similarity",
       .brief = "Squared difference between the similarity matrices of the rows in student and teacher: similarity-preserving distillation (SP).",
       .details = "The products of all rows of the group, rows of that matrix at length 1; the mean squared difference, summed over maps, in "
                  "float32 (Tung and Mori, 2019). Published: weight 3000, the last stage's maps, groups of 64."});
  Tensor value(const Tensor& student_nD, const Tensor& teacher_nD) const { return loss::similarity(student_nD, teacher_nD); }
};

FLOWRUN_NODE(Similarity);

}  // namespace
}  // namespace flowrun
