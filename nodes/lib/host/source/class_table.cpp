#include "nodes/lib/host/source/class_table.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace flowrun::source {

ClassTable::ClassTable(std::vector<int> labels) : labels_(std::move(labels)) {
  if (labels_.empty()) throw std::invalid_argument("there are no samples with classes");
  const auto [least, most] = std::minmax_element(labels_.begin(), labels_.end());
  if (*least < 0) throw std::invalid_argument("sample " + std::to_string(least - labels_.begin()) + " has no class");
  if (*least == *most) throw std::invalid_argument("all samples are of one class, so there are none of another");
  first_.assign(static_cast<size_t>(*most) + 2, 0);
  for (const int label : labels_) ++first_[static_cast<size_t>(label) + 1];
  std::partial_sum(first_.begin(), first_.end(), first_.begin());
  std::vector<int64_t> next = first_;
  by_class_.resize(labels_.size());
  for (size_t i = 0; i < labels_.size(); ++i) by_class_[static_cast<size_t>(next[static_cast<size_t>(labels_[i])]++)] = static_cast<int64_t>(i);
}

void ClassTable::others(int64_t sample, uint64_t key, std::span<int64_t> out) const {
  const auto own = static_cast<size_t>(label(sample));
  const int64_t first = first_[own], size = first_[own + 1] - first, count = static_cast<int64_t>(by_class_.size()) - size;
  const auto place = [&](int64_t i) { return by_class_[static_cast<size_t>(i < first ? i : i + size)]; };
  if (static_cast<int64_t>(out.size()) > count) {
    Rng rng(key, 0, 0, 0);
    for (int64_t& id : out) id = place(rng.below(static_cast<uint32_t>(count)));
    return;
  }
  const Permutation order(static_cast<uint64_t>(count), key, 0, 0);
  for (size_t i = 0; i < out.size(); ++i) out[i] = place(static_cast<int64_t>(order(i)));
}

int64_t ClassTable::like(int64_t sample, Rng& rng) const {
  const auto own = static_cast<size_t>(label(sample));
  const int64_t size = first_[own + 1] - first_[own];
  return by_class_[static_cast<size_t>(first_[own] + rng.below(static_cast<uint32_t>(size)))];
}

}  // namespace flowrun::source
