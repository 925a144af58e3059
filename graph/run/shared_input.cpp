#include "graph/run/shared_input.h"

#include <algorithm>
#include <set>

namespace flowrun {
namespace {

int find_node(const CheckedPipeline& pipeline, const std::string& name) {
  const auto found = std::find_if(pipeline.nodes.begin(), pipeline.nodes.end(), [&](const CheckedNode& node) { return node.name == name; });
  return found == pipeline.nodes.end() ? -1 : static_cast<int>(found - pipeline.nodes.begin());
}

const Task* task_of(const LevelPlan& level, int node) {
  const auto found = std::find_if(level.tasks.begin(), level.tasks.end(), [&](const Task& task) { return task.node == node; });
  return found == level.tasks.end() ? nullptr : &*found;
}

}  // namespace

void SharedInput::lead(const CheckedPipeline& pipeline, const Plan& plan, uint64_t samples) {
  pipeline_ = &pipeline;
  plan_ = &plan;
  samples_ = samples;
}

std::optional<SharedInput::Steps> SharedInput::wait_for_takers() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return std::all_of(takers_.begin(), takers_.end(), [](const InputTaker* t) { return t->joined_ || t->gone_; }); });
  std::optional<Steps> out;
  for (const InputTaker* taker : takers_) {
    if (taker->gone_ || taker->next_ >= taker->end_) continue;
    const Steps wanted{taker->next_ / taker->groups_per_step_ + 1, taker->end_ / taker->groups_per_step_};
    out = out ? Steps{std::min(out->first, wanted.first), std::max(out->last, wanted.last)} : wanted;
  }
  return out;
}

bool SharedInput::offer(GroupRecord& group, const Segment& segment) {
  std::unique_lock lock(mutex_);
  offered_ = &group;
  offered_group_ = segment.groups_before() + group.index;
  for (InputTaker* taker : takers_) taker->look();
  changed_.wait(lock, [&] {
    return std::none_of(takers_.begin(), takers_.end(), [&](const InputTaker* t) { return t->copying_ || t->wants(offered_group_); });
  });
  offered_ = nullptr;
  return std::any_of(takers_.begin(), takers_.end(), [](const InputTaker* t) { return !t->gone_ && t->next_ < t->end_; });
}

void SharedInput::end(std::optional<Failure> failure) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(ended_, true)) return;
  failure_ = std::move(failure);
  for (InputTaker* taker : takers_) taker->look();
}

InputTaker::InputTaker(SharedInput& input) : input_(input) {
  const std::lock_guard lock(input_.mutex_);
  input_.takers_.push_back(this);
}

InputTaker::~InputTaker() {
  leave();
  const std::lock_guard lock(input_.mutex_);
  std::erase(input_.takers_, this);
}

void InputTaker::leave() {
  const std::lock_guard lock(input_.mutex_);
  gone_ = true;
  input_.changed_.notify_all();
}

void InputTaker::join(const CheckedPipeline& pipeline, const Plan& plan, uint64_t samples, SharedInput::Steps steps) {
  const auto refuse = [](const std::string& why) { throw PipelineError("error: the input can't be shared: " + why); };
  const CheckedPipeline& leader = *input_.pipeline_;
  const StreamPlan &from = input_.plan_->streams[0], &to = plan.streams[0];
  if (!to.training) refuse("nothing trains");
  if (from.grouping.size != to.grouping.size || from.grouping.group != to.grouping.group || leader.seed != pipeline.seed ||
      input_.samples_ != samples) {
    refuse("seed, samples or groups differ");
  }
  level_ = &to.level[group_level];
  leaders_.assign(pipeline.nodes.size(), -1);
  for (const int n : pipeline.nodes_of(to.source)) {
    const CheckedNode& node = pipeline.nodes[static_cast<size_t>(n)];
    if (node.scope() <= Scope::batch) leaders_[static_cast<size_t>(n)] = find_node(leader, node.name);
  }
  const auto require = [&](int node) {
    if (node >= 0 && !makes(node)) refuse(pipeline.nodes[static_cast<size_t>(node)].name + " works on samples, but only groups are shared");
  };
  for (const Task& task : to.level[sample_level].tasks) require(task.node);
  for (const Fold& fold : to.level[sample_level].folds) require(fold.node);
  std::set<int> used;
  for (size_t t = 0; t + 1 < level_->tasks.size(); ++t) {
    const Task& task = level_->tasks[t];
    if (!makes(task.node)) continue;
    const CheckedNode& node = pipeline.nodes[static_cast<size_t>(task.node)];
    const LevelPlan& given = from.level[group_level];
    const Task* const other = task_of(given, leaders_[static_cast<size_t>(task.node)]);
    if (other == nullptr || other->slots.size() != task.slots.size()) refuse(node.name + " is another node");
    tasks_.emplace_back(static_cast<int>(other - given.tasks.data()), static_cast<int>(t));
    for (size_t p = 0; p < task.slots.size(); ++p) {
      const PortDoc& port = node.ports[p];
      if (port.input || task.slots[p].index < 0) continue;
      if (port.type->copy == nullptr) refuse(node.name + "." + port.name + " is of a type that can't be copied");
      if (!used.insert(other->slots[p].index).second) refuse(node.name + "." + port.name + " takes the place of another output");
      slots_.emplace_back(other->slots[p].index, task.slots[p].index);
    }
  }
  groups_per_step_ = to.groups_per_step;
  samples_per_group_ = to.grouping.group;
  const std::lock_guard lock(input_.mutex_);
  next_ = (steps.first - 1) * groups_per_step_;
  end_ = steps.last * groups_per_step_;
  joined_ = true;
  input_.changed_.notify_all();
}

void InputTaker::begin(const Segment& segment, std::function<void(int64_t)> take, std::function<void(Failure)> fail) {
  const std::lock_guard lock(input_.mutex_);
  first_ = open_ = segment.groups_before();
  take_ = std::move(take);
  fail_ = std::move(fail);
}

void InputTaker::open(int64_t group) {
  const std::lock_guard lock(input_.mutex_);
  open_ = first_ + group;
  look();
}

void InputTaker::end() {
  const std::lock_guard lock(input_.mutex_);
  take_ = nullptr;
  fail_ = nullptr;
}

void InputTaker::look() {
  if (!take_ || gone_ || copying_ || next_ >= open_) return;
  if (input_.offered_ != nullptr && input_.offered_group_ == next_) {
    copying_ = true;
    return take_(next_ - first_);
  }
  if (!input_.ended_) return;
  Failure failure = input_.failure_.value_or(Failure{
      .step = next_ / groups_per_step_ + 1, .index = next_ * samples_per_group_, .message = "the input shared with other runs ended too early"});
  failure.index -= first_ * samples_per_group_;
  fail_(std::move(failure));
}

void InputTaker::copy(GroupRecord& to) {
  // Both stay valid until the leader is notified: it waits.
  GroupRecord& from = *[this] {
    const std::lock_guard lock(input_.mutex_);
    return input_.offered_;
  }();
  for (const auto& [source, target] : slots_) {
    level_->slots[static_cast<size_t>(target)]->copy(to.slots()[target], from.slots()[source]);
  }
  for (size_t n = 0; n < leaders_.size(); ++n) {
    if (leaders_[n] < 0) continue;
    to.node_ledger[n].store(from.node_ledger[static_cast<size_t>(leaders_[n])].load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  for (const auto& [source, target] : tasks_) to.ledger[static_cast<size_t>(target)] = from.ledger[static_cast<size_t>(source)];
  to.bad = from.bad;
  const std::lock_guard lock(input_.mutex_);
  copying_ = false;
  ++next_;
  input_.changed_.notify_all();
}

}  // namespace flowrun
