#include "tools/app/replay/sample_collector.h"

namespace flowrun::app {

void SampleCollector::watch(const RepeatedRun& again, std::vector<bool> shown, uint64_t sample, uint64_t position) {
  again_ = &again, shown_ = std::move(shown), sample_ = sample, position_ = position;
  in_group_ = position % static_cast<uint64_t>(again.grouping().group);
  seen_.clear();
  watching_ = true;
}

void SampleCollector::see(const Tapped& tapped) {
  if (!watching_ || !shown_[static_cast<size_t>(tapped.node)]) return;
  const bool sample = tapped.level == sample_level;
  if (sample ? tapped.sample != sample_ || tapped.place.position != position_ : tapped.place.position != position_ - in_group_) return;
  Seen seen{1e3 * static_cast<double>(tapped.ticks) * again_->engine().stats().seconds_per_tick(), {}};
  const std::vector<PortDoc>& ports = again_->pipeline().nodes[static_cast<size_t>(tapped.node)].ports;
  for (size_t p = 0; p < ports.size(); ++p) {
    if (ports[p].input) continue;
    const void* object = tapped.call.own[tapped.call.slots[p].index];
    Output output{&ports[p], {}, ports[p].type->show != nullptr};
    output.value.text = ports[p].type->name;
    if (output.tells) {
      output.value.text.clear();
      ports[p].type->show(object, output.value, sample ? 0 : static_cast<int64_t>(in_group_), sample ? 1 : tapped.images);
    }
    if (!output.value.empty) seen.outputs.push_back(std::move(output));
  }
  const std::lock_guard lock(mutex_);
  seen_[tapped.node] = std::move(seen);
}

void SampleCollector::drop_groups() {
  std::erase_if(seen_, [&](const auto& entry) { return again_->pipeline().nodes[static_cast<size_t>(entry.first)].scope() == Scope::batch; });
}

}  // namespace flowrun::app
