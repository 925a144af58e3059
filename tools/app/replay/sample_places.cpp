#include "tools/app/replay/sample_places.h"

#include <charconv>

namespace flowrun::app {

uint64_t find_sample(const CheckedNode& source, const std::string& text) {
  const uint64_t samples = source.node->size();
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (index < samples) return index;
    throw PipelineError("error: --sample " + text + " is out of range: " + source.name + " has the samples 0 to " + std::to_string(samples - 1));
  }
  std::string near;
  for (uint64_t sample = 0; sample < samples; ++sample) {
    const std::string key = source.node->key(sample);
    if (key == text) return sample;
    if (near.empty() && key.ends_with("/" + text)) near = key;
  }
  throw PipelineError("error: --sample: " + source.name + " has no file " + text + "; " +
                      (near.empty() ? "the first is " + source.node->key(0) : "did you mean \"" + near + "\"?"));
}

Places::Places(const RepeatedRun& again, const PastRun& past, uint64_t epoch)
    : again_(again), past_(past), epoch_(epoch), order_(samples(), again.pipeline().seed, again.source().stream, epoch) {}

uint64_t Places::at(uint64_t position, uint32_t attempt) const {
  if (attempt == 0) return order_(position);
  return substitute_sample(again_.pipeline().seed, again_.source().stream, epoch_, position, attempt, samples());
}

std::vector<Use> Places::uses(uint64_t sample) const {
  std::vector<Use> out;
  const auto used = static_cast<uint64_t>(again_.engine().info().steps_per_epoch * again_.engine().info().batch);
  for (uint64_t position = 0; position < used; ++position) {
    if (order_(position) != sample) continue;
    const auto found = past_.replaced.find({epoch_, position});
    out.push_back({position, 0, found == past_.replaced.end() ? 0 : found->second});
  }
  for (const auto& [place, stood] : past_.replaced) {
    for (uint32_t attempt = 1; place.first == epoch_ && attempt <= stood; ++attempt) {
      if (at(place.second, attempt) == sample) out.push_back({place.second, attempt, stood});
    }
  }
  if (!out.empty()) return out;
  throw PipelineError("error: sample " + std::to_string(sample) + " is not in epoch " + std::to_string(epoch_) + ": it is one of the " +
                      std::to_string(samples() - used) + " that are left over at its end; others are in other epochs");
}

}  // namespace flowrun::app
