// The samples of a source by their class, to draw from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/contract/rng.h"

namespace flowrun::source {

class ClassTable {
 public:
  ClassTable() = default;
  /// `labels`: the class of each sample, from 0. Throws std::invalid_argument if a sample has none, or all have the same.
  explicit ClassTable(std::vector<int> labels);

  /// Fills `out` with samples of other classes than that of `sample`, in random order; none comes twice, unless there are fewer than asked
  /// for: then each is drawn from all of them. `key` addresses the draw.
  void others(int64_t sample, uint64_t key, std::span<int64_t> out) const;
  /// A sample of the class of `sample`, itself among them.
  int64_t like(int64_t sample, Rng& rng) const;

 private:
  int label(int64_t sample) const { return labels_[static_cast<size_t>(sample)]; }

  std::vector<int> labels_;
  std::vector<int64_t> by_class_;  // all samples, class after class
  std::vector<int64_t> first_;     // of each class in by_class_, and the end
};

}  // namespace flowrun::source
