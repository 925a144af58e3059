#include "graph/run/stream.h"

#include <algorithm>
#include <thread>

#include "graph/contract/current_sample.h"
#include "graph/contract/device.h"
#include "graph/run/bind.h"

namespace flowrun {
namespace {

/// Names this thread's sample while in scope.
class AtSample {
 public:
  AtSample(const Node& source, uint64_t sample) : source_(&source), sample_(sample) { here = this; }
  ~AtSample() { here = nullptr; }
  AtSample(const AtSample&) = delete;
  AtSample& operator=(const AtSample&) = delete;
  std::string key() const { return source_->key(sample_); }
  static thread_local const AtSample* here;

 private:
  const Node* source_;
  uint64_t sample_;
};
thread_local const AtSample* AtSample::here = nullptr;

}  // namespace

std::string current_sample() { return AtSample::here != nullptr ? AtSample::here->key() : std::string(); }

StreamRun::StreamRun(CheckedPipeline& pipeline, const Plan& plan, const Segment& segment, Stats& stats, StreamOptions options,
                     std::function<void(const Work&)> spawn)
    : pipeline_(pipeline),
      device_(device_runtime(pipeline.run.device)),
      plan_(plan),
      segment_(segment),
      stats_(stats),
      options_(std::move(options)),
      spawn_(std::move(spawn)) {
  for (int l = group_level; l < levels; ++l) finished_[l] = std::vector<std::atomic<int64_t>>(level(l).tasks.size());
  groups_.push_back(std::make_unique<GroupRecord>(level(group_level), pipeline_.nodes.size()));
  probe();
  // One group more than a step has, or than the device works on, keeps the device busy; more only costs memory.
  const int64_t wanted = std::min(segment_.total_groups(), std::max<int64_t>(3, segment_.groups + 1));
  const int64_t affordable = bytes_in_flight_ == 0 ? wanted : static_cast<int64_t>(options_.memory / bytes_in_flight_);
  const int64_t slots = std::max<int64_t>(1, std::min(wanted, affordable));
  if (!level(group_level).barriers.empty()) require_step_in_flight(slots);
  while (static_cast<int64_t>(groups_.size()) < slots) {
    groups_.push_back(std::make_unique<GroupRecord>(level(group_level), pipeline_.nodes.size()));
  }
  bytes_in_flight_ *= static_cast<size_t>(slots);
  // A step lives from its first group to the end of its tasks: at most one step per group record, and the one that is
  // ending.
  for (int64_t i = 0; i < slots + 1; ++i) {
    steps_.push_back(std::make_unique<StepRecord>(level(step_level), pipeline_.nodes.size()));
  }
  const int64_t lanes = options_.takes != nullptr ? 0 : std::min<int64_t>(options_.lanes, segment_.total_samples());
  for (int64_t i = 0; i < lanes; ++i) samples_.push_back(std::make_unique<SampleRecord>(level(sample_level)));
  for (int64_t g = 0; g < std::min(slots, segment_.total_groups()); ++g) open_group(g);
  idle_since_ = ticks();
  if (options_.watch) options_.watch(this);
}

/// A whole node waits for all groups of a step, so their records must exist at the same time.
void StreamRun::require_step_in_flight(int64_t slots) const {
  if (slots >= segment_.groups) return;
  const int first = level(group_level).barriers[0].folds[0];
  throw PipelineError("error: run.memory_mib is " + std::to_string(options_.memory >> 20) + ", but " +
                      pipeline_.nodes[static_cast<size_t>(level(group_level).node_of(first))].name + " needs all " + std::to_string(segment_.groups) +
                      " groups of a step at once, which are " + std::to_string((bytes_in_flight_ * static_cast<size_t>(segment_.groups) >> 20) + 1) +
                      " MiB: raise run.memory_mib, or make the batch smaller");
}

StreamRun::~StreamRun() {
  if (options_.watch) options_.watch(nullptr);
}

/// The first sample fills place 0 of a group record, which shows the memory of a group.
void StreamRun::probe() {
  GroupRecord& group = *groups_[0];
  SampleRecord lane(level(sample_level));
  open_groups_.store(1);
  steps_.push_back(std::make_unique<StepRecord>(level(step_level), pipeline_.nodes.size()));
  open_group(0);
  std::vector<NodeShard> unseen(pipeline_.nodes.size());
  Worker prober;
  prober.stats = unseen.data();
  prober.begin();
  lane.index = 0;
  lane.group = &group;
  lane.place = segment_.place(0);
  const LevelPlan& plan = level(sample_level);
  bool ok = false;
  constexpr uint64_t tries = 16;  // a bad sample is met again, and reported, at its place
  for (lane.sample = 0; !ok && lane.sample < std::min(tries, segment_.samples); lane.sample += !ok) {
    lane.renew(plan);
    for (size_t t = 0; t + 1 < plan.tasks.size(); ++t) run_task(lane, sample_level, plan.tasks[t], static_cast<int>(t), prober);
    ok = !lane.failed();
  }
  if (ok) probe_group(group, lane);
  bytes_in_flight_ = group.bytes(level(group_level));
  if (bytes_in_flight_ > options_.memory) {
    throw PipelineError("error: run.memory_mib is " + std::to_string(options_.memory >> 20) + ", but one group of " +
                        std::to_string(segment_.stream->grouping.group) + " samples needs " + std::to_string((bytes_in_flight_ >> 20) + 1) +
                        " MiB: raise run.memory_mib, or make the groups smaller");
  }
  steps_.clear();
  open_groups_.store(0);
}

/// Runs the batch nodes as if the group were full of the sample.
void StreamRun::probe_group(GroupRecord& group, SampleRecord& lane) {
  const LedgerEntry ledger(nullptr);
  try {
    for (const Fold& fold : level(sample_level).folds) {
      const FoldContext context{*options_.run, 0, group.images, 1, lane.sample, group.place.step, ledger};
      pipeline_.nodes[static_cast<size_t>(fold.node)].node->fold({group.slots(), lane.slots(), fold.slots.data()}, context);
    }
    for (const Task& task : level(group_level).tasks) {
      if (task.node < 0 || task.device) continue;
      CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
      const auto& ports = node.ports;
      // A node without outputs needs no memory here, and may write files.
      if (std::all_of(ports.begin(), ports.end(), [](const PortDoc& port) { return port.input; })) continue;
      node.node->run({group.slots(), nullptr, task.slots.data()},
                     GroupContext{*options_.run, options_.seed, node.stream, group.place.epoch, group.place.group, group.place.step, group.images,
                                  segment_.groups, ledger});
    }
  } catch (const std::exception&) {
    // It is met again, and reported, at its place.
  }
}

std::vector<Work> StreamRun::lanes() {
  if (options_.takes != nullptr) {
    const auto take = [this](int64_t group) { spawn_({group_level, -1, groups_[static_cast<size_t>(group) % groups_.size()].get()}); };
    options_.takes->begin(segment_, take, [this](Failure failure) { fail(std::move(failure)); });
    options_.takes->open(open_groups_.load());
  }
  std::vector<Work> out;
  for (const auto& lane : samples_) {
    lane->index = -1;
    out.push_back({sample_level, -1, lane.get()});
  }
  return out;
}

void StreamRun::delay(Worker& worker) const {
  if (worker.jitter == 0) return;
  worker.jitter = worker.jitter * 6364136223846793005ull + 1442695040888963407ull;
  const uint64_t draw = worker.jitter >> 33;
  if (draw % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(draw % 300));
}

void StreamRun::run(Work work, Worker& worker) {
  active_.fetch_add(1, std::memory_order_relaxed);
  if (options_.jitter != 0 && worker.jitter == 0) worker.jitter = options_.jitter ^ reinterpret_cast<uintptr_t>(&worker);
  worker.stack.push_back(work);
  worker.begin();
  while (!worker.stack.empty() || worker.lane) {
    // A group that is complete comes before the next sample: the device may be waiting for it.
    Work next = worker.stack.empty() ? *std::exchange(worker.lane, std::nullopt) : worker.stack.back();
    if (!worker.stack.empty()) worker.stack.pop_back();
    if (next.task >= 0) {
      run_tasks(*next.record, next.level, next.task, worker);
    } else if (next.level == group_level) {
      take_group(static_cast<GroupRecord&>(*next.record), worker);
    } else if (admit(static_cast<SampleRecord&>(*next.record))) {
      begin_sample(static_cast<SampleRecord&>(*next.record), worker);
    }
  }
  worker.idle();
  active_.fetch_sub(1, std::memory_order_relaxed);
}

/// Runs a pool task and the chain after it: the first successor that becomes ready runs here, too.
void StreamRun::run_tasks(Record& record, int l, int task, Worker& worker) {
  const LevelPlan& plan = level(l);
  while (task >= 0) {
    delay(worker);
    const Task& t = plan.tasks[static_cast<size_t>(task)];
    if (t.node < 0) return deliver_sample(static_cast<SampleRecord&>(record), worker);
    const uint64_t begun = worker.clock();
    if (run_task(record, l, t, task, worker) && options_.tap) tap(record, l, t, worker, worker.clock() - begun);
    int next = -1;
    for (const int s : t.successors) {
      if (!record.arrive(plan, s)) continue;
      if (next < 0 && !plan.tasks[static_cast<size_t>(s)].device) {
        next = s;
      } else {
        ready(record, l, s, &worker);
      }
    }
    task = next;
  }
}

/// Runs one node on one sample or group, on the pool. Tasks after a failed task are skipped.
bool StreamRun::run_task(Record& record, int l, const Task& task, int index, Worker& worker) {
  if (record.failed_before(index)) return false;
  const Record& filling = l == sample_level ? *static_cast<SampleRecord&>(record).group : record;
  if (record.filled && replays(task.node, filling)) {
    done_reading(record, l, task);
    return true;
  }
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
  const Call call{record.slots(), nullptr, task.slots.data()};
  const LedgerEntry ledger(&record.ledger[static_cast<size_t>(index)]);
  try {
    if (l == sample_level) {
      auto& lane = static_cast<SampleRecord&>(record);
      worker.enter(task.node, l, lane.index, lane.sample);
      const AtSample here(*pipeline_.nodes[static_cast<size_t>(segment_.stream->source)].node, lane.sample);
      node.node->run(call, SampleContext{options_.seed, node.stream, lane.place.epoch, lane.sample, lane.place.position, ledger,
                                         &lane.remarks[static_cast<size_t>(index)]});
    } else {
      auto& group = static_cast<GroupRecord&>(record);
      if (dropped_sample(first_sample(group))) return false;
      worker.enter(task.node, l, group.index, 0);
      node.node->run(call, GroupContext{*options_.run, options_.seed, node.stream, group.place.epoch, group.place.group, group.place.step,
                                        group.images, segment_.groups, ledger});
    }
  } catch (const std::exception& error) {
    worker.begin();
    NodeShard::add(worker.stats[task.node].failures, 1);
    record.fail(index, message_of(error), dynamic_cast<const FatalNodeError*>(&error) != nullptr);
    if (l == group_level) {
      auto& group = static_cast<GroupRecord&>(record);
      fail({group.place.step, first_sample(group), index, false,
            node.name + ": " + message_of(error) + "\n  step " + std::to_string(group.place.step) + ", group " + std::to_string(group.place.group)});
    }
    return false;
  }
  if (options_.slowdown != nullptr) worker.spin(options_.slowdown->host);
  worker.end(task.node);
  done_reading(record, l, task);
  return true;
}

/// Nothing of a group is released before on_group has seen it.
void StreamRun::done_reading(Record& record, int l, const Task& task) const {
  if (task.reads.empty() || (l == group_level && options_.on_group)) return;
  record.done_reading(level(l), task.reads);
}

void StreamRun::tap(Record& record, int l, const Task& task, Worker& worker, uint64_t ticks) const {
  const Call call{record.slots(), nullptr, task.slots.data()};
  if (l == sample_level) {
    const auto& lane = static_cast<SampleRecord&>(record);
    options_.tap({task.node, l, lane.place, lane.sample, lane.group->images, call, ticks});
  } else {
    const auto& group = static_cast<GroupRecord&>(record);
    options_.tap({task.node, l, group.place, 0, group.images, call, ticks});
  }
  worker.begin();  // the tap's time counts for no node
}

void StreamRun::ready(Record& record, int l, int task, Worker* worker) {
  if (level(l).tasks[static_cast<size_t>(task)].device) return push_device(record, l, task);
  const Work work{l, task, &record};
  // Keep it on this thread while all threads have work: moving a task costs more than most nodes.
  const bool alone = worker == nullptr || active_.load(std::memory_order_relaxed) < options_.threads || worker->jitter % 3 == 1;
  alone ? spawn_(work) : worker->stack.push_back(work);
}

void StreamRun::fail(Failure failure) {
  {
    const std::lock_guard lock(failure_mutex_);
    if (dropped(failure.step) && !failure_) return;  // after a stop: met again when the run is resumed
    const auto key = [](const Failure& f) { return std::tuple(f.step, f.index, f.task); };
    if (!failure_ || key(failure) < key(*failure_)) failure_ = std::move(failure);
    cancel_step_.store(failure_->step);
    end_sample_.store(failure_->index + 1);
  }
  const std::lock_guard lock(device_mutex_);
  device_wakes_.notify_all();
}

/// Stops on request. A failure after the stop is ignored.
void StreamRun::stop_after(int64_t step) {
  const std::lock_guard lock(failure_mutex_);
  failure_.reset();
  cancel_step_.store(step + 1);
  end_sample_.store(samples_until(step));
}

}  // namespace flowrun
