// The device's side of a segment: one thread, in order.
#include <algorithm>

#include "graph/contract/device.h"
#include "graph/contract/ranks.h"
#include "graph/run/bind.h"
#include "graph/run/group_recorder.h"
#include "graph/run/stream.h"

namespace flowrun {
namespace {

/// Shows a node's work in the device's profiler.
class ProfiledRange {
 public:
  ProfiledRange(DeviceRuntime& device, const std::string& node, int64_t step) : device_(device) { device_.begin_range(node, step); }
  ~ProfiledRange() { device_.end_range(); }
  ProfiledRange(const ProfiledRange&) = delete;
  ProfiledRange& operator=(const ProfiledRange&) = delete;

 private:
  DeviceRuntime& device_;
};

const std::string delivery = "(delivery)";

/// A failure whose message begins with the node's name already.
class NamedFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace

void StreamRun::push_device(Record& record, int l, int task) {
  int64_t step = 0, sequence = 0;
  if (l == group_level) {
    const auto& group = static_cast<GroupRecord&>(record);
    step = group.place.step;
    sequence = group.index;
  } else {
    step = static_cast<StepRecord&>(record).step;
    sequence = step - segment_.first_step;
  }
  const std::lock_guard lock(device_mutex_);
  device_arrivals_.push_back({step, sequence, l, task, &record, ticks()});
  device_wakes_.notify_one();
}

/// Calls `closed` with the node of each task that the item still waits for: its own task on the record before, and the
/// tasks of its gates, which write what it reads or read what it writes. A whole node takes no group of a step before the step before
/// has ended: it holds one step at a time, and on all ranks its collective calls stand between the same others.
template <class Closed>
void StreamRun::for_closed_gates(const DeviceItem& item, Closed&& closed) const {
  const auto node = [&](int l, int task) { return level(l).tasks[static_cast<size_t>(task)].node; };
  const bool ahead = level(item.level).tasks[static_cast<size_t>(item.task)].part == Part::fold && completed_steps_ < item.step - segment_.first_step;
  if (ahead || finished_[item.level][static_cast<size_t>(item.task)] != item.sequence) closed(node(item.level, item.task));
  for (const Gate& gate : level(item.level).tasks[static_cast<size_t>(item.task)].gates) {
    const int64_t before = gate.level == item.level ? item.sequence : item.step - segment_.first_step;
    if (finished_[gate.level][static_cast<size_t>(gate.task)] < before) closed(node(gate.level, gate.task));
  }
}

bool StreamRun::gates_open(const DeviceItem& item) const {
  bool open = true;
  for_closed_gates(item, [&](int) { open = false; });
  return open;
}

InFlight StreamRun::in_flight() {
  InFlight out;
  {
    const std::lock_guard lock(park_mutex_);
    out.parked = static_cast<int64_t>(parked_.size());
    for (const auto& group : groups_) {
      if (group->step == nullptr) continue;
      const int64_t left = group->samples_left.load(std::memory_order_relaxed);
      out.groups.push_back({group->place.step, group->index % segment_.groups, group->images, group->images - left});
    }
  }
  const auto key = [](const InFlight::Group& g) { return std::tuple(g.step, g.group); };
  std::sort(out.groups.begin(), out.groups.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  const std::lock_guard lock(device_mutex_);
  for (const auto* items : {&device_items_, &device_arrivals_}) {
    for (const DeviceItem& item : *items) {
      out.device.push_back({level(item.level).tasks[static_cast<size_t>(item.task)].node, item.step, item.since, {}});
      for_closed_gates(item, [&](int node) { out.device.back().behind.push_back(node); });
    }
  }
  return out;
}

bool StreamRun::wait_for_device_task() {
  std::unique_lock lock(device_mutex_);
  const auto over = [&] { return completed_steps_ >= segment_.steps || dropped(segment_.first_step + completed_steps_); };
  device_wakes_.wait(lock, [&] { return over() || !device_arrivals_.empty(); });
  if (!over()) return true;
  lock.unlock();
  if (options_.takes != nullptr) options_.takes->end();
  return false;
}

std::optional<StreamRun::DeviceItem> StreamRun::next_device_item() {
  const std::lock_guard lock(device_mutex_);
  device_items_.insert(device_items_.end(), device_arrivals_.begin(), device_arrivals_.end());
  device_arrivals_.clear();
  auto best = device_items_.end();
  const auto key = [](const DeviceItem& i) { return std::tuple(i.step, i.level, i.sequence, i.task); };
  for (auto i = device_items_.begin(); i != device_items_.end(); ++i) {
    if (dropped(i->step) || !gates_open(*i)) continue;
    if (best == device_items_.end() || key(*i) < key(*best)) best = i;
  }
  if (best == device_items_.end()) return std::nullopt;
  const DeviceItem item = *best;
  device_items_.erase(best);
  return item;
}

bool StreamRun::run_device_task(Worker& worker) {
  const std::optional<DeviceItem> next = next_device_item();
  if (!next) return false;
  const DeviceItem& item = *next;
  const Task& task = level(item.level).tasks[static_cast<size_t>(item.task)];
  worker.begin();
  const uint64_t now = worker.clock();
  if (task.node >= 0) {
    // Counts the executor's idle time, and the time of tasks that waited although their inputs were there.
    if (item.since > idle_since_) NodeShard::add(worker.stats[task.node].wait_input, item.since - idle_since_);
    if (now > item.since) NodeShard::add(worker.stats[task.node].wait_device, now - item.since);
  }
  try {
    const ProfiledRange range(device_, task.node < 0 ? delivery : pipeline_.nodes[static_cast<size_t>(task.node)].name, item.step);
    item.level == group_level ? run_group_task(static_cast<GroupRecord&>(*item.record), item.task, worker)
                              : run_step_task(static_cast<StepRecord&>(*item.record), item.task, worker);
  } catch (const std::exception& error) {
    const bool named = task.node < 0 || dynamic_cast<const NamedFailure*>(&error) != nullptr;
    const std::string name = named ? "" : pipeline_.nodes[static_cast<size_t>(task.node)].name + ": ";
    if (task.node >= 0) NodeShard::add(worker.stats[task.node].failures, 1);
    const int64_t index = item.level == group_level ? first_sample(static_cast<GroupRecord&>(*item.record)) : samples_until(item.step) - 1;
    fail({item.step, index, item.task, true, name + message_of(error) + "\n  step " + std::to_string(item.step)});
  }
  worker.idle();
  idle_since_ = ticks();
  return true;
}

GroupContext StreamRun::group_context(const GroupRecord& group, const CheckedNode& node, LedgerEntry ledger) const {
  return {*options_.run, options_.seed,   node.stream, group.place.epoch,     group.place.group, group.place.step,
          group.images,  segment_.groups, ledger,      segment_.stream->parts};
}

void StreamRun::run_group_task(GroupRecord& group, int index, Worker& worker) {
  const LevelPlan& plan = level(group_level);
  const Task& task = plan.tasks[static_cast<size_t>(index)];
  if (task.node < 0) return deliver_group(group, worker);
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
  const bool deferred = options_.recorder != nullptr && options_.recorder->defers(index);
  if (!deferred && !replays(task.node, group)) {
    worker.enter(task.node, group_level, group.index, 0);
    if (options_.run->pass_per_rank && options_.run->ranks != nullptr) options_.run->ranks->works_for(node.name, group.place.step);
    call_group_task(group, index);
    if (options_.slowdown != nullptr) worker.sleep(options_.slowdown->device);
    task.part == Part::fold || task.part == Part::give ? worker.end_fold(task.node) : worker.end(task.node);
  }
  if (!deferred && !options_.on_group) group.done_reading(plan, task.reads);
  ++finished_[group_level][static_cast<size_t>(index)];
  for (const int s : task.successors) {
    if (group.arrive(plan, s)) ready(group, group_level, s, nullptr);
  }
  if (task.part == Part::fold) reach_barrier(group, index, worker);
}

void StreamRun::call_group_task(GroupRecord& group, int index) {
  const Task& task = level(group_level).tasks[static_cast<size_t>(index)];
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
  const Call call{group.slots(), nullptr, task.slots.data()};
  switch (task.part) {
    case Part::run:
      return node.node->run(call, group_context(group, node, LedgerEntry(&group.ledger[static_cast<size_t>(index)])));
    case Part::first:
      return device_.without_gradients(
          [&] { node.node->run(call, group_context(group, node, LedgerEntry(&group.ledger[static_cast<size_t>(index)]))); });
    case Part::again:
      return node.node->run(call, group_context(group, node, LedgerEntry(nullptr)));
    case Part::fold:
      return node.node->fold(call, fold_context(group));
    case Part::give:
      return node.node->give(call, fold_context(group));
  }
}

/// For calls that draw no random numbers: their entries in the ledger are dropped.
FoldContext StreamRun::fold_context(const GroupRecord& group) const {
  return {*options_.run, group.index % segment_.groups, segment_.groups, group.images, 0, group.place.step, LedgerEntry(nullptr)};
}

/// A group has come to the barrier of one of its whole nodes; the last one lets all groups of the step pass.
void StreamRun::reach_barrier(GroupRecord& group, int fold, Worker& worker) {
  const LevelPlan& plan = level(group_level);
  size_t number = 0;
  while (std::find(plan.barriers[number].folds.begin(), plan.barriers[number].folds.end(), fold) == plan.barriers[number].folds.end()) ++number;
  if (--group.step->folds_left[number] > 0) return;
  for (const int t : plan.barriers[number].folds) run_whole(group, plan.node_of(t), worker);
  const int64_t first = (group.place.step - segment_.first_step) * segment_.groups;
  for (int64_t g = first; g < first + segment_.groups; ++g) {
    GroupRecord& passing = *groups_[static_cast<size_t>(g) % groups_.size()];
    for (const int t : plan.barriers[number].behind) {
      if (passing.arrive(plan, t)) push_device(passing, group_level, t);
    }
  }
}

void StreamRun::run_whole(const GroupRecord& group, int n, Worker& worker) {
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
  worker.enter(n, group_level, group.index, 0);
  if (options_.run->ranks != nullptr) options_.run->ranks->works_for(node.name, group.place.step);
  try {
    node.node->run(WholeContext{.run = *options_.run,
                                .seed = options_.seed,
                                .stream = node.stream,
                                .epoch = group.place.epoch,
                                .step = group.place.step,
                                .groups = segment_.groups,
                                .first_group = segment_.first_group,
                                .all_groups = segment_.groups_world});
  } catch (const std::exception& error) {
    throw NamedFailure(node.name + ": " + message_of(error));
  }
  if (options_.slowdown != nullptr) worker.sleep(options_.slowdown->device);
  worker.end(n);
}

/// Does the deferred work, so that it can be recorded or played in one piece.
void StreamRun::run_deferred(GroupRecord& group, Worker& worker) {
  const LevelPlan& plan = level(group_level);
  int last = -1;  // of the nodes that take part; the time of played work counts for the last one
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    if (options_.recorder->defers(static_cast<int>(t))) last = plan.tasks[t].node;
  }
  worker.enter(last, group_level, group.index, 0);
  const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(last)];
  const bool played = options_.recorder->run(group, {group_context(group, node, LedgerEntry(nullptr)), fold_context(group), [&](int done, bool fold) {
                                                       if (options_.slowdown != nullptr) worker.sleep(options_.slowdown->device);
                                                       fold ? worker.end_fold(done) : worker.end(done);
                                                     }});
  if (played) {
    if (options_.slowdown != nullptr) worker.sleep(options_.slowdown->device);
    worker.end(last);
  }
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    if (options_.recorder->defers(static_cast<int>(t))) group.done_reading(plan, plan.tasks[t].reads);
  }
}

void StreamRun::deliver_group(GroupRecord& group, Worker& worker) {
  const LevelPlan& plan = level(group_level);
  StepRecord& step = *group.step;
  if (options_.on_group && !options_.on_group(group, segment_)) return stop_after(step.step - 1);
  if (options_.recorder != nullptr) run_deferred(group, worker);
  for (const Fold& fold : plan.folds) {
    if (options_.recorder != nullptr && options_.recorder->takes(fold)) continue;
    if (options_.inactive && (*options_.inactive)[static_cast<size_t>(fold.node)]) continue;
    CheckedNode& node = pipeline_.nodes[static_cast<size_t>(fold.node)];
    const FoldContext context = fold_context(group);
    const bool in_step = node.scope() == Scope::step;
    worker.enter(fold.node, group_level, group.index, 0);
    if (options_.run->ranks != nullptr) options_.run->ranks->works_for(node.name, step.step);
    try {
      node.node->fold({in_step ? step.slots() : nullptr, group.slots(), fold.slots.data()}, context);
    } catch (const std::exception& error) {
      throw NamedFailure(node.name + ": " + message_of(error));
    }
    worker.end_fold(fold.node);
  }
  for (size_t n = 0; n < group.node_ledger.size(); ++n) step.node_ledger[n] += group.node_ledger[n].load(std::memory_order_relaxed);
  for (size_t t = 0; t + 1 < plan.tasks.size(); ++t) {
    const auto node = static_cast<size_t>(plan.tasks[t].node);
    if (group.ledger[t] != 0) step.node_ledger[node] += ledger_mix(group.ledger[t] ^ pipeline_.nodes[node].stream, group.place.position);
  }
  step.bad.insert(step.bad.end(), group.bad.begin(), group.bad.end());
  step.images += group.images;
  if (options_.on_images) options_.on_images(step.images);
  // An evaluation pass is repeated when the run is resumed, so a stop does not wait for its end.
  if (!segment_.stream->training && options_.stop && options_.stop->load()) return stop_after(step.step - 1);
  group.filled = true;
  ++finished_[group_level].back();
  device_.group_submitted();
  release_group(group);
  if (--step.groups_left == 0) begin_step(step);
}

void StreamRun::begin_step(StepRecord& step) {
  last_ledger_ = 0;
  for (size_t n = 0; n < step.node_ledger.size(); ++n) {
    if (plan_.trains[n] || !segment_.stream->training) last_ledger_ += step.node_ledger[n];
  }
  step.stop = options_.stop != nullptr && options_.stop->load();
  if (options_.agree) {
    StepTotals totals{last_ledger_, step.stop, std::move(step.bad)};
    options_.agree(step.step, totals);
    last_ledger_ = totals.ledger, step.stop = totals.stop, step.bad = std::move(totals.bad);
  }
  if (!quarantine(step)) return;
  if (step.tasks_left == 0) return end_step(step);
  for (const int root : level(step_level).roots) push_device(step, step_level, root);
}

/// Replaced samples count in the order of their places, at the end of their step: the same on every machine.
bool StreamRun::quarantine(StepRecord& step) {
  std::stable_sort(step.bad.begin(), step.bad.end(), [](const BadSample& a, const BadSample& b) { return a.position < b.position; });
  for (const BadSample& bad : step.bad) {
    if (options_.quarantine) options_.quarantine(bad);
    if (bad.kept || options_.bad == nullptr) continue;
    options_.bad->known.insert(bad.sample);
    if (options_.bad->count() <= options_.max_bad) continue;
    fail({step.step, samples_until(step.step) - 1, 0, false,
          bad.error + "\n  sample " + std::to_string(bad.sample) + ": " + bad.key + "\n  epoch " + std::to_string(bad.epoch) + ", step " +
              std::to_string(step.step) + "\n  more than run.max_bad = " + std::to_string(options_.max_bad) +
              " samples failed; quarantine.jsonl lists them. Repair or delete the files, or raise run.max_bad: --resume accepts another number"});
    return false;
  }
  return true;
}

StepContext StreamRun::step_context(StepRecord& step) {
  const double per_epoch = static_cast<double>(std::max<int64_t>(1, segment_.steps_per_epoch));
  return StepContext{.run = *options_.run,
                     .view = *options_.view,
                     .step = step.step,
                     .epoch = static_cast<double>(step.step + segment_.epoch_shift) / per_epoch,
                     .images = step.step * options_.run->batch,
                     .ledger = last_ledger_,
                     .seconds = options_.view->seconds(),
                     .first_step = segment_.first_step,
                     .stopping = false,
                     .reports = step.reports};
}

void StreamRun::run_step_task(StepRecord& step, int index, Worker& worker) {
  const LevelPlan& plan = level(step_level);
  const Task& task = plan.tasks[static_cast<size_t>(index)];
  StepContext context = step_context(step);
  worker.enter(task.node, step_level, step.step, 0);
  if (options_.run->ranks != nullptr) options_.run->ranks->works_for(pipeline_.nodes[static_cast<size_t>(task.node)].name, step.step);
  pipeline_.nodes[static_cast<size_t>(task.node)].node->run(Call{step.slots(), nullptr, task.slots.data()}, context);
  if (options_.slowdown != nullptr) worker.sleep(options_.slowdown->device);
  worker.end(task.node);
  step.done_reading(plan, task.reads);
  ++finished_[step_level][static_cast<size_t>(index)];
  for (const int s : task.successors) {
    if (step.arrive(plan, s)) push_device(step, step_level, s);
  }
  if (--step.tasks_left == 0) end_step(step);
}

void StreamRun::end_step(StepRecord& step) {
  ++completed_steps_;
  if (options_.on_step && segment_.stream->training) options_.on_step(step_context(step));
  // Ranks that have agreed can't be asked again.
  if (step.stop || (!options_.agree && options_.stop && options_.stop->load())) stop_after(step.step);
  const std::lock_guard lock(device_mutex_);
  device_wakes_.notify_all();
}

}  // namespace flowrun
