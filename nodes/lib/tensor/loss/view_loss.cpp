#include "nodes/lib/tensor/loss/view_loss.h"

#include "graph/contract/planned.h"

namespace flowrun::loss {

const Choices& pair_choices() {
  static const Choices choices = {"all_but_same", "cross", "same"};
  return choices;
}

const Choices& label_choices() {
  static const Choices choices = {"all_but_same", "cross", "same", "own"};
  return choices;
}

void require_views(int64_t student, int64_t target, const std::string& pairs) {
  if (pairs == "own" && target % student != 0) {
    throw NodeError("the target has " + std::to_string(target) + " labels of a picture, which are not equally many for each of " +
                    std::to_string(student) + " views");
  }
  if (pairs != "own" && student != target) {
    throw NodeError("the student has " + std::to_string(student) + " views of a picture, the target " + std::to_string(target) +
                    ": both must come from the same crops");
  }
  if (pairs == "cross" && student < 2) {
    throw NodeError("pairs \"cross\" needs two views of a picture, and " + std::to_string(student) +
                    " comes in: set count of image.random_crop to 2");
  }
}

void check_views(NodePlan& plan, const std::string& student, const std::string& target, const std::string& pairs) {
  plan.require_equal("width", student, &Planned::width, target);
  if (pairs == "own") return;
  plan.require_equal("number of views", student, &Planned::views, target, "both must come from the same crops");
  if (pairs == "cross" && plan.known(student).views == 1) {
    plan.fault(student, "pairs \"cross\" needs two views of a picture, and 1 comes in", "set count of image.random_crop to 2, or pairs to \"same\"");
  }
}

void plan_gathered(NodePlan& plan, std::initializer_list<const char*> inputs) {
  for (const char* input : inputs) {
    const Planned in = plan.in.contains(input) ? plan.in.at(input) : Planned();
    plan.gathered += 4 * (in.rows > 0 ? in.rows : plan.group.images) * in.width;
  }
}

void check_two_views(NodePlan& plan, const std::string& input) {
  const double views = plan.known(input).views;
  if (views == 0 || views == 2) return;
  plan.fault(input, "the loss compares two views of a picture, and " + count_text(views) + (views == 1 ? " comes" : " come") + " in",
             "set count of image.random_crop to 2");
}

}  // namespace flowrun::loss
