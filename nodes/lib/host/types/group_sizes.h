// The parameters of nodes that stack samples into groups.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "graph/node.h"

namespace flowrun {

/// How many samples a step and each of its groups have.
struct GroupSizes {
  int64_t size = 256, group = 0;
  void describe(auto& param) {
    param("size", size, positive, "Samples in a step, over all ranks.");
    param("group", group, not_negative, "Samples in a group; divides size. 0: the whole step is one group.");
  }
  std::optional<ParamFault> check() const {
    if (group > 0 && size % group != 0) {
      return ParamFault{"group", "group must divide size, but " + std::to_string(size) + " / " + std::to_string(group) + " leaves a remainder"};
    }
    return {};
  }
  Grouping grouping() const { return {size, group > 0 ? group : size}; }
  /// Places of a group's record: the last group of an evaluation is smaller, and with run.pass "rank" groups are larger than here.
  int64_t capacity(const FoldContext& context) const { return std::max(grouping().group, context.count); }
};

}  // namespace flowrun
