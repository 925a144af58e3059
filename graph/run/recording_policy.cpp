#include "graph/run/recording_policy.h"

#include <algorithm>
#include <tuple>

namespace flowrun {
namespace {

constexpr int64_t sights_needed = 2;
// Masks may change during a run: shapes that are no longer frequent make room in the end.
constexpr int64_t groups_per_age = 4096;
constexpr size_t most_shapes = 65536;

}  // namespace

/// Counts are halved; shapes without a recording that were not seen twice are forgotten.
void RecordingPolicy::age() {
  for (auto& [name, shape] : shapes_) shape.sights = (shape.sights + 1) / 2;
  std::erase_if(shapes_, [](const auto& entry) { return !entry.second.recorded && !entry.second.refused && entry.second.sights < 2; });
}

RecordingPolicy::Decision RecordingPolicy::next(const std::string& shape) {
  if (++groups_ % groups_per_age == 0 || shapes_.size() > most_shapes) age();
  Shape& mine = shapes_[shape];
  ++mine.sights;
  if (mine.recorded) return {Choice::play, {}};
  if (stopped() || mine.refused || mine.sights < sights_needed || capacity_ == 0) return {};
  if (kept_ < capacity_) return {Choice::record, {}};
  const auto rarest = std::min_element(shapes_.begin(), shapes_.end(), [](const auto& a, const auto& b) {
    const auto key = [](const auto& entry) { return std::tuple(!entry.second.recorded, entry.second.sights, entry.first); };
    return key(a) < key(b);
  });
  if (rarest->second.sights >= mine.sights) return {};
  rarest->second.recorded = false;
  --kept_;
  return {Choice::record, rarest->first};
}

void RecordingPolicy::recorded(const std::string& shape) {
  shapes_[shape].recorded = true;
  ++kept_, ++made_;
}

void RecordingPolicy::refused(const std::string& shape) {
  shapes_[shape].refused = true;
  ++refusals_;
}

}  // namespace flowrun
