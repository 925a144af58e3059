// The part of StreamRun that takes samples to their groups, and replaces what can't be used.
#include <algorithm>

#include "graph/run/bind.h"
#include "graph/run/stream.h"

namespace flowrun {

/// Gives the lane its next sample. False: the segment has no more, or the lane is parked until its group has a record.
bool StreamRun::admit(SampleRecord& lane) {
  if (lane.index < 0) lane.index = next_sample_.fetch_add(1, std::memory_order_relaxed);
  if (lane.index >= segment_.total_samples() || dropped_sample(lane.index)) return false;
  const int64_t group = lane.index / segment_.stream->grouping.group;
  if (group >= open_groups_.load(std::memory_order_acquire)) {
    const std::lock_guard lock(park_mutex_);
    if (group >= open_groups_.load(std::memory_order_acquire)) {
      lane.parked_at = ticks();
      parked_.push_back(&lane);
      return false;
    }
  }
  lane.group = groups_[static_cast<size_t>(group) % groups_.size()].get();
  lane.in_group = lane.index - group * segment_.stream->grouping.group;
  lane.place = lane.group->place;
  lane.place.position += static_cast<uint64_t>(lane.in_group);
  lane.attempt = 0;
  if (segment_.stream->training) {
    if (!lane.order || lane.order_epoch != lane.place.epoch) {
      lane.order.emplace(segment_.samples, options_.seed, pipeline_.nodes[static_cast<size_t>(segment_.stream->source)].stream, lane.place.epoch);
      lane.order_epoch = lane.place.epoch;
    }
    const uint64_t position = lane.place.position;
    lane.sample = (*lane.order)(position < segment_.samples ? position : position % segment_.samples);  // EngineOptions::wraps
    if (options_.replaced != nullptr) substitute_known(lane);
  } else {
    lane.sample = lane.place.position;
  }
  return true;
}

/// The sample that stood at the place in the run, whether or not it can be read now.
void StreamRun::substitute_known(SampleRecord& lane) const {
  const auto found = options_.replaced->find({lane.place.epoch, lane.place.position});
  if (found == options_.replaced->end()) return;
  lane.attempt = found->second;
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(segment_.stream->source)];
  lane.sample = substitute_sample(options_.seed, source.stream, lane.place.epoch, lane.place.position, lane.attempt, segment_.samples);
}

void StreamRun::begin_sample(SampleRecord& lane, Worker& worker) {
  lane.renew(level(sample_level));
  for (std::string& remark : lane.remarks) remark.clear();
  if (lane.parked_at != 0) {
    NodeShard& source = worker.stats[segment_.stream->source];
    worker.begin();
    NodeShard::add(source.wait_slot, worker.clock() - std::exchange(lane.parked_at, 0));
  }
  run_tasks(lane, sample_level, level(sample_level).roots[0], worker);
}

/// The end of a sample: its ledger is added, the group takes it, the lane continues.
void StreamRun::deliver_sample(SampleRecord& lane, Worker& worker) {
  if (lane.failed()) return replace_sample(lane, worker);
  const LevelPlan& plan = level(sample_level);
  GroupRecord& group = *lane.group;
  const auto enter = [&](int node, uint64_t value) {
    if (value == 0) return;
    const uint64_t stream = pipeline_.nodes[static_cast<size_t>(node)].stream;
    group.node_ledger[static_cast<size_t>(node)].fetch_add(ledger_mix(value ^ stream, lane.place.position), std::memory_order_relaxed);
  };
  for (size_t f = 0; f < plan.folds.size(); ++f) {
    const Fold& fold = plan.folds[f];
    if (replays(fold.node, group)) continue;
    CheckedNode& node = pipeline_.nodes[static_cast<size_t>(fold.node)];
    uint64_t& entry = lane.ledger[plan.tasks.size() + f];
    const FoldContext context{*options_.run, lane.in_group, group.images, 1, lane.sample, group.place.step, LedgerEntry(&entry)};
    worker.enter(fold.node, sample_level, lane.index, lane.sample);
    try {
      node.node->fold({group.slots(), lane.slots(), fold.slots.data()}, context);
    } catch (const std::exception& error) {
      fail(sample_failure(lane, node, node.name + ": " + message_of(error), ""));
      return;
    }
    worker.end_fold(fold.node);
    enter(fold.node, entry);
  }
  for (size_t t = 0; t + 1 < plan.tasks.size(); ++t) {
    // The source's entry is the sample's identity.
    const int node = plan.node_of(static_cast<int>(t));
    enter(node, node == segment_.stream->source ? lane.ledger[t] + lane.sample + 1 : lane.ledger[t]);
    if (!lane.remarks[t].empty()) list_sample(lane, pipeline_.nodes[static_cast<size_t>(node)].name + ": " + lane.remarks[t], true);
  }
  lane.filled = true;
  lane.index = -1;
  sample_done(group, &worker);
  worker.lane = Work{sample_level, -1, &lane};
}

void StreamRun::sample_done(GroupRecord& group, Worker* worker) {
  if (group.samples_left.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  for (const int root : level(group_level).roots) ready(group, group_level, root, worker);
}

std::string StreamRun::place_text(const SampleRecord& lane) const {
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(segment_.stream->source)];
  return "\n  sample " + std::to_string(lane.sample) + " of " + source.name + ": " + source.node->key(lane.sample) + "\n  epoch " +
         std::to_string(lane.place.epoch) + ", step " + std::to_string(lane.place.step);
}

Failure StreamRun::sample_failure(const SampleRecord& lane, const CheckedNode& node, const std::string& what, const std::string& hint) const {
  Failure out{.step = lane.place.step, .index = lane.index, .message = what + place_text(lane) + hint};
  if (segment_.stream->training) {
    out.replay = "--sample " + std::to_string(lane.sample) + " --epoch " + std::to_string(lane.place.epoch) + " --node " + node.name;
  }
  return out;
}

/// The fix to suggest for a sample that can't be used.
std::string StreamRun::cure(const SampleRecord& lane) const {
  if (lane.fatal()) return "";
  if (!segment_.stream->training) return "\n  repair or delete the file: evaluations read every sample; run.max_bad is for training alone";
  if (options_.max_bad > 0) return "";
  return "\n  repair or delete the file, or set run.max_bad to let that many samples be replaced";
}

/// A sample failed: the run fails, or a keyed substitute replaces it, so that the batch stays full and the same on
/// every machine.
void StreamRun::replace_sample(SampleRecord& lane, Worker& worker) {
  const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(level(sample_level).node_of(lane.failed_task()))];
  const std::string error = node.name + ": " + lane.error();
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(segment_.stream->source)];
  constexpr uint32_t max_attempts = 64;
  if (lane.fatal() || options_.max_bad == 0 || !segment_.stream->training || ++lane.attempt > max_attempts) {
    fail(sample_failure(lane, node, error, cure(lane)));
    return;
  }
  list_sample(lane, error, false);
  lane.sample = substitute_sample(options_.seed, source.stream, lane.place.epoch, lane.place.position, lane.attempt, segment_.samples);
  begin_sample(lane, worker);
}

void StreamRun::list_sample(const SampleRecord& lane, const std::string& why, bool kept) {
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(segment_.stream->source)];
  const std::lock_guard lock(lane.group->mutex);
  lane.group->bad.push_back(
      {lane.place.epoch, lane.place.position, lane.sample, source.node->key(lane.sample), why, kept, segment_.stream->training});
}

}  // namespace flowrun
