#include "graph/run/records.h"

#include <algorithm>

namespace flowrun {

int64_t Segment::images(int64_t group) const {
  const int64_t first = group * stream->grouping.group;
  return std::min(stream->grouping.group, total_samples() - first);
}

int64_t Segment::total_samples() const {
  const int64_t full = total_groups() * stream->grouping.group;
  return stream->training ? full : std::min(full, static_cast<int64_t>(samples) - first_group * stream->grouping.group);
}

Place Segment::place(int64_t group) const {
  const int64_t step = first_step + group / groups;
  const int64_t before = step - 1 + epoch_shift;
  const auto epoch = static_cast<uint64_t>(before / steps_per_epoch);
  const int64_t in_epoch = before % steps_per_epoch * groups_world + first_group + group % groups;
  return {step, epoch, static_cast<uint64_t>(in_epoch * stream->parts), static_cast<uint64_t>(in_epoch * stream->grouping.group)};
}

Segment Segment::pass(const StreamPlan& stream, uint64_t samples, int rank, int world) {
  Segment segment{.stream = &stream, .samples = samples, .steps = 1};
  const auto group = static_cast<uint64_t>(stream.grouping.group);
  segment.groups_world = static_cast<int64_t>((samples + group - 1) / group);
  segment.first_group = segment.groups_world * rank / world;
  segment.groups = segment.groups_world * (rank + 1) / world - segment.first_group;
  return segment;
}

Segment Segment::training(const StreamPlan& stream, uint64_t samples, int64_t first_step, int64_t steps, const RunInfo& run) {
  Segment segment{.stream = &stream, .samples = samples, .first_step = first_step, .steps = steps};
  segment.steps_per_epoch = std::max<int64_t>(1, static_cast<int64_t>(samples) / stream.grouping.size);
  segment.groups_world = stream.groups_per_step;
  segment.epoch_shift = run.epoch_shift;
  segment.groups = stream.groups_per_step / run.world;
  segment.first_group = segment.groups * run.rank;
  return segment;
}

uint64_t substitute_sample(uint64_t seed, uint64_t stream, uint64_t epoch, uint64_t position, uint32_t attempt, uint64_t samples) {
  Rng rng(seed, hash_text("substitute") ^ stream, epoch, position);
  rng.seek(attempt * 4);
  return rng.below(static_cast<uint32_t>(std::min<uint64_t>(samples, UINT32_MAX)));
}

Record::Record(const LevelPlan& plan)
    : ledger(plan.tasks.size() + plan.folds.size()),
      plan_(&plan),
      waiting_(new std::atomic<int>[plan.tasks.size()]),
      readers_(new std::atomic<int>[plan.slots.size()]) {
  for (const TypeOps* type : plan.slots) {
    slots_.push_back(type->make());
    counted_.push_back(type->releases);
  }
  // arrive() resets the counts.
  for (size_t t = 0; t < plan.tasks.size(); ++t) waiting_[t].store(plan.tasks[t].parents, std::memory_order_relaxed);
  renew(plan);
}

Record::~Record() {
  for (size_t i = 0; i < slots_.size(); ++i) plan_->slots[i]->destroy(slots_[i]);
}

void Record::renew(const LevelPlan& plan) {
  for (size_t s = 0; s < plan.slots.size(); ++s) {
    if (!counted_[s]) continue;
    readers_[s].store(plan.readers[s], std::memory_order_relaxed);
    plan.slots[s]->release(slots_[s]);
  }
  std::fill(ledger.begin(), ledger.end(), 0);
  failed_task_.store(INT_MAX, std::memory_order_relaxed);
}

void Record::fail(int task, const std::string& why, bool fatal) {
  const std::lock_guard lock(error_mutex_);
  if (failed_before(task)) return;
  failed_task_.store(task, std::memory_order_relaxed);
  fatal_ = fatal;
  error_ = why;
}

void Record::done_reading(const LevelPlan& plan, const std::vector<int>& slots) {
  for (const int s : slots) {
    if (readers_[s].fetch_sub(1, std::memory_order_acq_rel) == 1) plan.slots[static_cast<size_t>(s)]->release(slots_[static_cast<size_t>(s)]);
  }
}

size_t Record::bytes(const LevelPlan& plan) const {
  size_t sum = 0;
  for (size_t s = 0; s < slots_.size(); ++s) sum += plan.slots[s]->bytes(slots_[s]);
  return sum;
}

}  // namespace flowrun
