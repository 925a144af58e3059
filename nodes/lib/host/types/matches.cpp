#include "nodes/lib/host/types/matches.h"

#include <algorithm>

namespace flowrun {

bool MatchBatch::put(int64_t i, int64_t capacity, const Matches& one) {
  std::call_once(once_, [&] {
    layout = one.layout;
    const auto all = static_cast<size_t>(capacity);
    from.resize(all * one.from.size()), to.resize(all * one.to.size()), weights.resize(all * one.weights.size()),
        valid.resize(all * one.valid.size());
  });
  if (one.layout != layout) return false;
  const auto copy = [&](const auto& of_picture, auto& batch) {
    std::copy(of_picture.begin(), of_picture.end(), batch.begin() + i * static_cast<int64_t>(of_picture.size()));
  };
  copy(one.from, from), copy(one.to, to), copy(one.weights, weights), copy(one.valid, valid);
  return true;
}

}  // namespace flowrun
