#include "nodes/lib/tensor/loss/relation_loss.h"

#include "nodes/lib/tensor/loss/stage_loss.h"

namespace flowrun::loss {
namespace {

constexpr const char* one_kind = "connect student and teacher, or student_maps and teacher_maps";
constexpr const char* same_crops = "both must come from the same crops";

}  // namespace

void check_relations(NodePlan& plan) {
  const auto connected = [&](const char* input) { return plan.in.contains(input); };
  const bool vectors = connected("student") && connected("teacher"), maps = connected("student_maps") && connected("teacher_maps");
  if (plan.in.size() != 2 || vectors == maps) {
    plan.fault("", plan.in.empty() ? "no rows are connected" : "the inputs are no pair", one_kind);
    return;
  }
  const char* const student = vectors ? "student" : "student_maps";
  const char* const teacher = vectors ? "teacher" : "teacher_maps";
  plan.require_equal("number of views", student, &Planned::views, teacher, same_crops);
  plan.require_equal("number of rows", student, &Planned::rows, teacher, same_crops);
  if (vectors || plan.known(student).rows == 0 || plan.known(teacher).rows == 0) return;
  const size_t of_student = plan.known(student).parts.size() / 3, of_teacher = plan.known(teacher).parts.size() / 3;
  if (of_student == of_teacher && of_student > 0) return;
  plan.fault(of_student == 0 ? student : teacher, counts_of_maps(of_student, of_teacher), "set stages of both encode.images, equally many");
}

std::vector<std::pair<Tensor, Tensor>> relation_rows(const RelationPorts& port) {
  if (port.student && port.teacher) return {{port.student->values_nD, port.teacher->values_nD}};
  if (!port.student_maps || !port.teacher_maps) throw NodeError(std::string("the inputs are no pair: ") + one_kind);
  const std::vector<Tensor>&student = port.student_maps->maps_BCHW, &teacher = port.teacher_maps->maps_BCHW;
  if (student.empty() || student.size() != teacher.size()) {
    throw NodeError(counts_of_maps(student.size(), teacher.size()) + ": set stages of both encode.images, equally many");
  }
  std::vector<std::pair<Tensor, Tensor>> rows;
  for (size_t i = 0; i < student.size(); ++i) rows.emplace_back(student[i].flatten(1), teacher[i].flatten(1));
  return rows;
}

}  // namespace flowrun::loss
