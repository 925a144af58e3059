// The values of label maps, and doubts about them. No graph knowledge.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::eval {

/// Pixels by class.
class LabelHistogram {
 public:
  /// The histogram of label maps, any shape, u8; 255 is no class.
  static LabelHistogram of_maps(const Tensor& maps);
  /// The histogram from a confusion [classes, classes] whose rows are the truth: it lacks pixels without a class.
  static LabelHistogram of_confusion(const Tensor& counts_CC);

  /// The classes that occur, ascending.
  std::vector<int64_t> classes() const;
  /// "0: 74.8 %, 1: 25.1 %, no class (255): 0.1 %"; the ten most frequent.
  std::string text() const;

 private:
  std::array<int64_t, 256> counts_{};
};

/// Throws std::invalid_argument when fewer than two classes are left: a mean over one is meaningless. `what` names the
/// maps.
void require_classes(const LabelHistogram& maps, const std::string& what);

/// Warnings for the user: values that are far apart, classes of test that train lacks. Empty: none.
std::vector<std::string> doubts(const LabelHistogram& train, const LabelHistogram& test);

}  // namespace flowrun::eval
