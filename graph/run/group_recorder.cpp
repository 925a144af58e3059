#include "graph/run/group_recorder.h"

#include <algorithm>

#include "graph/run/bind.h"

namespace flowrun {
namespace {

/// Calls visit(slot number, whether it is an input) for the group's slots among a node's.
template <class Visit>
void each_slot(const std::vector<PortDoc>& ports, const std::vector<PortSlot>& slots, bool below, Visit&& visit) {
  for (size_t p = 0; p < slots.size(); ++p) {
    if (slots[p].index >= 0 && slots[p].below == below) visit(slots[p].index, ports[p].input);
  }
}

bool contains(const std::vector<int>& all, int one) { return std::find(all.begin(), all.end(), one) != all.end(); }

void insert(std::vector<int>& all, int one) {
  if (!contains(all, one)) all.push_back(one);
}

}  // namespace

GroupRecorder::GroupRecorder(CheckedPipeline& pipeline, const LevelPlan& plan, DeviceRuntime& device)
    : pipeline_(pipeline), plan_(plan), device_(device), policy_(device.recordings()), deferred_(plan.tasks.size()) {
  choose_tasks();
  if (!choose_folds()) return;
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    if (!deferred_[t]) continue;
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(plan.tasks[t].node)];
    each_slot(node.ports, plan.tasks[t].slots, false, [&](int slot, bool input) {
      if (!input) insert(made_, slot);
    });
  }
  const auto reads = [&](const std::vector<PortDoc>& ports, const std::vector<PortSlot>& slots, bool below) {
    each_slot(ports, slots, below, [&](int slot, bool input) {
      if (input && !contains(made_, slot)) insert(inputs_, slot);
    });
  };
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    if (deferred_[t]) reads(pipeline_.nodes[static_cast<size_t>(plan.tasks[t].node)].ports, plan.tasks[t].slots, false);
  }
  for (const Fold& fold : plan.folds) {
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(fold.node)];
    if (node.type->info.repeats) reads(node.ports, fold.slots, true);
  }
  choose_results();
  active_ = !refused_;
}

/// Results are the outputs that folds outside of the recording read at every step. A recording keeps the memory of its results, so
/// an output that is read at some steps only is not a result: groups of those steps are submitted.
void GroupRecorder::choose_results() {
  for (const Fold& fold : plan_.folds) {
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(fold.node)];
    if (node.type->info.repeats) continue;
    each_slot(node.ports, fold.slots, true, [&](int slot, bool) {
      if (!contains(made_, slot)) return;
      if (node.type->reads_at_times) return insert(lookers_, fold.node);
      insert(results_, slot);
      const TypeOps& result = *plan_.slots[static_cast<size_t>(slot)];
      if (result.copy == nullptr) refuse(std::string("no ") + result.name + " can be copied");
    });
  }
}

bool GroupRecorder::is_looked_at(const Work& work) const {
  return std::any_of(lookers_.begin(), lookers_.end(), [&](int node) { return pipeline_.nodes[static_cast<size_t>(node)].node->reads(work.fold); });
}

/// The nodes that repeat, without those that feed tasks outside of the recording, or whose inputs can't be copied. Repeats
/// until no more nodes drop out.
void GroupRecorder::choose_tasks() {
  for (size_t t = 0; t < plan_.tasks.size(); ++t) {
    const Task& task = plan_.tasks[t];
    deferred_[t] = task.node >= 0 && task.device && pipeline_.nodes[static_cast<size_t>(task.node)].type->info.repeats;
  }
  const auto stays = [&](const Task& task) {
    for (const int s : task.successors) {
      if (plan_.tasks[static_cast<size_t>(s)].node >= 0 && !deferred_[static_cast<size_t>(s)]) return false;
    }
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
    bool copies = true;
    each_slot(node.ports, task.slots, false, [&](int slot, bool input) {
      if (!input || plan_.slots[static_cast<size_t>(slot)]->refill != nullptr) return;
      for (size_t t = 0; t < plan_.tasks.size(); ++t) {
        const Task& maker = plan_.tasks[t];
        if (maker.node < 0 || deferred_[t]) continue;
        each_slot(pipeline_.nodes[static_cast<size_t>(maker.node)].ports, maker.slots, false,
                  [&](int made, bool is_input) { copies = copies && (is_input || made != slot); });
      }
    });
    return copies;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t t = 0; t < plan_.tasks.size(); ++t) {
      if (deferred_[t] && !stays(plan_.tasks[t])) deferred_[t] = false, changed = true;
    }
  }
}

/// Gradients flow back through all of the work or none: a fold that repeats requires that all nodes before it are
/// recorded.
bool GroupRecorder::choose_folds() {
  bool any = false;
  for (const Fold& fold : plan_.folds) {
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(fold.node)];
    if (!node.type->info.repeats) continue;
    any = true;
    each_slot(node.ports, fold.slots, true, [&](int slot, bool) {
      if (plan_.slots[static_cast<size_t>(slot)]->refill != nullptr) return;
      for (size_t t = 0; t < plan_.tasks.size(); ++t) {
        if (plan_.tasks[t].node < 0 || deferred_[t]) continue;
        const CheckedNode& maker = pipeline_.nodes[static_cast<size_t>(plan_.tasks[t].node)];
        each_slot(maker.ports, plan_.tasks[t].slots, false, [&](int made, bool input) {
          if (!input && made == slot) refuse(maker.name + " (" + maker.type->info.type + ") does work that can't be recorded");
        });
      }
    });
  }
  if (!any) refuse("nothing is trained in a way that can be recorded");
  return !refused_;
}

/// Permanently; the first reason is kept.
void GroupRecorder::refuse(std::string why) {
  if (refused_) return;
  why_not_ = std::move(why);
  refused_.store(true, std::memory_order_release);
}

/// The key of the group's shape; empty: the group is neither recorded nor played.
std::string GroupRecorder::key_of(GroupRecord& group, const Work& work) const {
  if (is_looked_at(work)) return {};
  std::string key = "variants";
  for (size_t t = 0; t < plan_.tasks.size(); ++t) {
    if (!deferred_[t]) continue;
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(plan_.tasks[t].node)];
    const int64_t variant = node.node->variant(work.context);
    if (variant < 0) return {};
    key += " " + std::to_string(variant);
  }
  for (const int slot : inputs_) key += "; " + plan_.slots[static_cast<size_t>(slot)]->shape(group.slots()[slot]);
  return key;
}

/// Submits the work, on these slots.
void GroupRecorder::submit(void* const* slots, void* const* step, const Work& work) const {
  for (size_t t = 0; t < plan_.tasks.size(); ++t) {
    if (!deferred_[t]) continue;
    const Task& task = plan_.tasks[t];
    CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
    GroupContext context = work.context;
    context.stream = node.stream;
    guard(node.name, [&] { node.node->run({slots, nullptr, task.slots.data()}, context); });
    if (work.ended) work.ended(task.node, false);
  }
  for (const Fold& fold : plan_.folds) {
    if (!takes(fold)) continue;
    CheckedNode& node = pipeline_.nodes[static_cast<size_t>(fold.node)];
    guard(node.name, [&] { node.node->fold({node.scope() == Scope::step ? step : nullptr, slots, fold.slots.data()}, work.fold); });
    if (work.ended) work.ended(fold.node, true);
  }
}

bool GroupRecorder::run(GroupRecord& group, const Work& work) {
  const std::string key = key_of(group, work);
  const RecordingPolicy::Decision decision = key.empty() ? RecordingPolicy::Decision() : policy_.next(key);
  if (!decision.forget.empty()) kinds_.erase(decision.forget);
  if (decision.choice == RecordingPolicy::Choice::play) {
    play(kinds_.at(key), group);
    ++played_;
    return true;
  }
  if (decision.choice == RecordingPolicy::Choice::record) {
    record(group, work, key);
    return true;
  }
  submit(group.slots(), group.step->slots(), work);
  ++submitted_;
  return false;
}

/// The object for an input. Recordings of other shapes share it if this input has the same shape.
std::shared_ptr<void> GroupRecorder::input(int slot, GroupRecord& group) {
  const TypeOps& ops = *plan_.slots[static_cast<size_t>(slot)];
  std::weak_ptr<void>& shared = shared_inputs_[std::to_string(slot) + ": " + ops.shape(group.slots()[slot])];
  std::shared_ptr<void> object = shared.lock();
  if (object == nullptr) shared = object = std::shared_ptr<void>(ops.make(), ops.destroy);
  return object;
}

/// A recording with its own objects in all slots.
GroupRecorder::Kind GroupRecorder::prepare(GroupRecord& group) {
  Kind kind;
  kind.slots.resize(plan_.slots.size());
  const auto place = [&](int slot, std::shared_ptr<void> object) {
    kind.slots[static_cast<size_t>(slot)] = object.get();
    kind.objects.push_back(std::move(object));
  };
  for (const int slot : inputs_) place(slot, input(slot, group));
  for (const int slot : made_) {
    const TypeOps& ops = *plan_.slots[static_cast<size_t>(slot)];
    place(slot, {ops.make(), ops.destroy});
  }
  return kind;
}

/// Also does the group's work.
void GroupRecorder::record(GroupRecord& group, const Work& work, const std::string& key) {
  Kind kind = prepare(group);
  Work quiet = work;
  quiet.ended = nullptr;
  refill(kind, group);
  Recorded recorded = device_.record([&] { submit(kind.slots.data(), group.step->slots(), quiet); }, policy_.compares());
  hand_back(kind, group);
  if (recorded.recording == nullptr) return refuse_shape(key, recorded);
  // Outputs without a later reader may share memory with the next work.
  for (const int slot : made_) {
    if (!contains(results_, slot)) plan_.slots[static_cast<size_t>(slot)]->release(kind.slots[static_cast<size_t>(slot)]);
  }
  kind.recording = std::move(recorded.recording);
  kinds_[key] = std::move(kind);
  policy_.recorded(key);
  ++recorded_;
}

/// From now on the shape is submitted; after some such shapes, all are.
void GroupRecorder::refuse_shape(const std::string& key, const Recorded& attempt) {
  ++submitted_;
  policy_.refused(key);
  if (!policy_.stopped()) {
    if (!attempt.gains_nothing) log_warning("groups of one shape are submitted kernel by kernel: " + attempt.why_not);
    return;
  }
  refuse(attempt.why_not);
  if (attempt.gains_nothing) return log_info("groups are submitted kernel by kernel: " + why_not_);
  log_warning("work on groups is submitted kernel by kernel from here on: " + why_not_);
}

void GroupRecorder::play(Kind& kind, GroupRecord& group) const {
  refill(kind, group);
  kind.recording->play();
  hand_back(kind, group);
}

void GroupRecorder::refill(Kind& kind, GroupRecord& group) const {
  for (const int slot : inputs_) plan_.slots[static_cast<size_t>(slot)]->refill(kind.slots[static_cast<size_t>(slot)], group.slots()[slot]);
}

void GroupRecorder::hand_back(Kind& kind, GroupRecord& group) const {
  for (const int slot : results_) plan_.slots[static_cast<size_t>(slot)]->copy(group.slots()[slot], kind.slots[static_cast<size_t>(slot)]);
}

}  // namespace flowrun
