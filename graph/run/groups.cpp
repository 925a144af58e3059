// The part of StreamRun that opens groups, hands them on, and takes them from another run.
#include <algorithm>

#include "graph/run/stream.h"

namespace flowrun {

void StreamRun::open_group(int64_t index) {
  GroupRecord& group = *groups_[static_cast<size_t>(index) % groups_.size()];
  group.renew(level(group_level));
  for (auto& value : group.node_ledger) value.store(0, std::memory_order_relaxed);
  group.bad.clear();
  group.index = index;
  group.images = segment_.images(index);
  group.place = segment_.place(index);
  group.samples_left.store(group.images, std::memory_order_relaxed);
  StepRecord& step = *steps_[static_cast<size_t>(index / segment_.groups) % steps_.size()];
  group.step = &step;
  if (index % segment_.groups == 0) {
    step.renew(level(step_level));
    step.step = group.place.step;
    step.groups_left = segment_.groups;
    step.tasks_left = static_cast<int64_t>(level(step_level).tasks.size());
    step.folds_left.clear();
    for (const Barrier& barrier : level(group_level).barriers) {
      step.folds_left.push_back(segment_.groups * static_cast<int64_t>(barrier.folds.size()));
    }
    step.images = 0;
    std::fill(step.node_ledger.begin(), step.node_ledger.end(), 0);
    step.reports.clear();
    step.bad.clear();
  }
  open_groups_.store(index + 1, std::memory_order_release);
}

/// The group's record takes the group that comes `slots` later, and lanes that waited for it continue.
void StreamRun::release_group(GroupRecord& group) {
  const int64_t next = group.index + static_cast<int64_t>(groups_.size());
  group.renew(level(group_level));
  if (next >= segment_.total_groups()) return;
  std::vector<SampleRecord*> woken;
  {
    const std::lock_guard lock(park_mutex_);
    open_group(next);
    std::erase_if(parked_, [&](SampleRecord* lane) {
      const bool wakes = lane->index / segment_.stream->grouping.group <= next;
      if (wakes) woken.push_back(lane);
      return wakes;
    });
  }
  for (SampleRecord* lane : woken) spawn_({sample_level, -1, lane});
  if (options_.takes != nullptr) options_.takes->open(next + 1);
}

/// The group comes from another run, with the outputs of its nodes: the remaining tasks start.
void StreamRun::take_group(GroupRecord& group, Worker& worker) {
  const LevelPlan& plan = level(group_level);
  const auto made = [&](int t) {
    const int node = plan.node_of(t);
    return node >= 0 && options_.takes->makes(node);
  };
  options_.takes->copy(group);
  worker.begin();  // the time counts for no node
  group.samples_left.store(0, std::memory_order_relaxed);
  std::vector<int> starts;
  for (const int root : plan.roots) {
    if (!made(root)) starts.push_back(root);
  }
  for (int t = 0; t < static_cast<int>(plan.tasks.size()); ++t) {
    if (!made(t)) continue;
    for (const int s : plan.tasks[static_cast<size_t>(t)].successors) {
      if (group.arrive(plan, s) && !made(s)) starts.push_back(s);
    }
  }
  for (const int t : starts) ready(group, group_level, t, &worker);
}

}  // namespace flowrun
