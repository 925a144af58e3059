#include "nodes/lib/tensor/loss/attention_loss.h"

namespace flowrun::loss {
namespace {

constexpr const char* no_blocks = "set attention of the node that makes it";

std::string other_count(size_t student, size_t teacher) {
  return "the student has attention of " + std::to_string(student) + " blocks, the teacher of " + std::to_string(teacher);
}

}  // namespace

void check_attention(NodePlan& plan, bool heads) {
  const Planned student = plan.known("student"), teacher = plan.known("teacher");
  // Parts are the heads, then the blocks.
  if (student.parts.empty() || teacher.parts.empty()) return;
  for (const auto& [name, taps] : {std::pair{"student", &student}, {"teacher", &teacher}}) {
    if (taps->parts.size() == 1) plan.fault(name, std::string("the ") + name + " hands out no attention", no_blocks);
  }
  if (!plan.faults.empty()) return;
  if (student.parts.size() != teacher.parts.size()) {
    plan.fault("teacher", other_count(student.parts.size() - 1, teacher.parts.size() - 1), "block is compared with block: give both equally many");
  }
  if (heads && student.parts[0] != teacher.parts[0]) {
    plan.fault("teacher", "the student has " + std::to_string(student.parts[0]) + " heads, the teacher " + std::to_string(teacher.parts[0]),
               "set heads of this node");
  }
  plan.require_equal("number of tokens", "student", &Planned::rows, "teacher", "both need the same patches, class token and registers");
  plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
}

void require_attention(const AttentionTaps& student, const AttentionTaps& teacher) {
  if (student.values.empty()) throw NodeError(std::string("there is no attention to compare: ") + no_blocks);
  if (student.values.size() != teacher.values.size()) throw NodeError(other_count(student.values.size(), teacher.values.size()));
}

}  // namespace flowrun::loss
