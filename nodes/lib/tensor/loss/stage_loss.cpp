#include "nodes/lib/tensor/loss/stage_loss.h"

namespace flowrun::loss {
namespace {

constexpr const char* no_maps = "set stages of the encode.images that makes it";

/// Whether it is certain that an input has no maps.
bool empty(const Planned& maps) { return maps.rows > 0 && maps.parts.empty(); }

}  // namespace

std::string counts_of_maps(size_t student, size_t teacher) {
  return "the student has " + std::to_string(student) + " maps, the teacher " + std::to_string(teacher);
}

void check_stage_maps(NodePlan& plan, Channels channels) {
  plan.require_equal("number of views", "student", &Planned::views, "teacher", "both must come from the same crops");
  bool known = true;
  for (const char* const input : {"student", "teacher"}) {
    if (empty(plan.known(input))) plan.fault(input, std::string(input) + " has no maps", no_maps);
    known = known && !plan.known(input).parts.empty();
  }
  if (!known) return;
  const std::vector<StageShape> student = FeatureMaps::planned_stages(plan.known("student"));
  const std::vector<StageShape> teacher = FeatureMaps::planned_stages(plan.known("teacher"));
  if (student.size() != teacher.size()) {
    plan.fault("teacher", counts_of_maps(student.size(), teacher.size()), "give both encode.images equally many stages");
    return;
  }
  if (channels == Channels::any) return;
  for (size_t i = 0; i < student.size(); ++i) {
    if (student[i].channels == teacher[i].channels) continue;
    plan.fault("teacher",
               "the student's map of stage " + std::to_string(student[i].stage) + " has " + count_text(student[i].channels) +
                   " channels, the teacher's of stage " + std::to_string(teacher[i].stage) + " " + count_text(teacher[i].channels),
               "channel is compared with channel: take stages of equal width, or put a maps.regress before the student's");
    return;
  }
}

void require_stage_maps(const FeatureMaps& student, const FeatureMaps& teacher) {
  if (student.maps_BCHW.empty()) throw NodeError(std::string("student has no maps: ") + no_maps);
  if (teacher.maps_BCHW.empty()) throw NodeError(std::string("teacher has no maps: ") + no_maps);
  if (student.maps_BCHW.size() != teacher.maps_BCHW.size()) {
    throw NodeError(counts_of_maps(student.maps_BCHW.size(), teacher.maps_BCHW.size()) + ": give both encode.images equally many stages");
  }
}

}  // namespace flowrun::loss
