#include "tools/app/speed/groups.h"

#include <algorithm>

#include "tools/app/load/load.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

/// The size of groups nearest to the present one that divides the batch, and isn't the one that is asked about.
int64_t other_size(const Grouping& now, int64_t asked) {
  for (int64_t size = now.group / 2; size >= 1; --size) {
    if (now.size % size == 0 && size != asked) return size;
  }
  for (int64_t size = now.group + 1; size <= now.size; ++size) {
    if (now.size % size == 0 && size != asked) return size;
  }
  return 0;
}

}  // namespace

Regrouping::Regrouping(const PipelineArgs& pipeline, int64_t groups, const StudyResult& study, double seconds, const Say& say) : pipeline_(pipeline) {
  const CheckedPipeline checked = load_checked(pipeline);
  for (const int n : checked.nodes_of(checked.training_source)) {
    const CheckedNode& node = checked.nodes[static_cast<size_t>(n)];
    if (const auto grouping = node.node->grouping()) node_ = node.name, now_ = *grouping;
  }
  if (now_.size % groups != 0) {
    throw PipelineError("error: --groups: " + node_ + " can't cut its batch of " + std::to_string(now_.size) + " into " + std::to_string(groups) +
                        " equal groups");
  }
  group_ = now_.size / groups;
  changed_ = with_group(group_);
  load_checked(changed_);  // its faults before anything is measured
  memory_ = checked.run.memory_mib << 20;
  const int64_t other = other_size(now_, group_);
  if (other == 0) throw PipelineError("error: --groups: a batch of " + std::to_string(now_.size) + " has no other size of groups to forecast from");
  // The latest measurements of both, so that other load affects both alike.
  const auto device_time = [&](int64_t group) {
    say(print("measuring the device side with groups of %lld for %g s", static_cast<long long>(group), seconds));
    const PipelineArgs args = with_group(group);
    const Measurement m = Study([&] { return load_checked(args); }, {}).measure_device({.threads = study.whole.threads, .seconds = seconds});
    return m.seconds / static_cast<double>(m.images);
  };
  const double here = device_time(now_.group), there = device_time(other);
  const double inverse = 1 / static_cast<double>(now_.group);
  call_ = std::max(0.0, (there - here) / (1 / static_cast<double>(other) - inverse));
  call_ = std::min(call_, here / inverse);
  work_ = here - call_ * inverse;
  bytes_per_image_ = static_cast<double>(study.whole.bytes) / static_cast<double>(std::max<int64_t>(1, study.whole.slots) * now_.group);
  const double bytes = bytes_per_image_ * static_cast<double>(group_);
  records_ = std::max<int64_t>(3, groups + 1);
  if (bytes > 0) records_ = std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(memory_) / bytes), 1, records_);
}

PipelineArgs Regrouping::with_group(int64_t group) const {
  PipelineArgs out = pipeline_;
  out.sets.push_back(node_ + ".group=" + std::to_string(group));
  return out;
}

Forecast Regrouping::at(const Forecaster& forecaster) const {
  const double before = work_ + call_ / static_cast<double>(now_.group), after = work_ + call_ / static_cast<double>(group_);
  return forecaster.regrouped(after / before, records_ == 1);
}

double Regrouping::scaled(double now, const Forecaster& forecaster) const {
  return at(forecaster).images_per_second * now / forecaster.at(forecaster.measured()).images_per_second;
}

ordered_json Regrouping::forecast(const StudyResult& study, const Forecaster& forecaster) const {
  const Forecast forecast = at(forecaster);
  return {{"groups", now_.size / group_},
          {"group_size", group_},
          {"groups_now", now_.size / now_.group},
          {"records", records_},
          {"mib_in_flight", bytes_per_image_ * static_cast<double>(group_ * records_) / (1 << 20)},
          {"mib_in_flight_now", static_cast<double>(study.whole.bytes) / (1 << 20)},
          {"ms_per_device_call", 1e3 * call_},
          {"ms_per_device_image", 1e3 * work_},
          {"images_per_second", forecast.images_per_second},
          {"gain", forecast.images_per_second / study.whole.rate() - 1},
          {"bound_by", forecast.bound}};
}

}  // namespace flowrun::app
