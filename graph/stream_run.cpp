#include "graph/stream_run.h"

#include <algorithm>
#include <thread>

#include "graph/bind.h"
#include "graph/current_sample.h"

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

int node_of_task(const LevelPlan& plan, int task) { return plan.tasks[static_cast<size_t>(task)].node; }

}  // namespace

std::string current_sample() { return AtSample::here != nullptr ? AtSample::here->key() : std::string(); }

StreamRun::StreamRun(CheckedPipeline& pipeline, const Plan& plan, const Segment& segment, Stats& stats, StreamOptions options,
                     std::function<void(const Work&)> spawn)
    : pipeline_(pipeline), plan_(plan), segment_(segment), stats_(stats), options_(std::move(options)), spawn_(std::move(spawn)) {
  for (int l = group_level; l < levels; ++l) finished_[l] = std::vector<std::atomic<int64_t>>(level(l).tasks.size());
  groups_.push_back(std::make_unique<GroupRecord>(level(group_level), pipeline_.nodes.size()));
  probe();
  // One group more than a step has, or than the device works on, keeps the device busy; more only costs memory.
  const int64_t wanted = std::min(segment_.total_groups(), std::max<int64_t>(3, segment_.groups + 1));
  const int64_t affordable = bytes_in_flight_ == 0 ? wanted : static_cast<int64_t>(options_.memory / bytes_in_flight_);
  const int64_t slots = std::max<int64_t>(1, std::min(wanted, affordable));
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
  uint64_t ignored = 0;
  const LedgerEntry ledger(&ignored);
  try {
    for (const Fold& fold : level(sample_level).folds) {
      const FoldContext context{*options_.run, 0, group.images, 1, lane.sample, group.place.step, ledger};
      pipeline_.nodes[static_cast<size_t>(fold.node)].node->fold({group.slots(), lane.slots(), fold.slots.data()}, context);
    }
    for (const Task& task : level(group_level).tasks) {
      if (task.node < 0 || task.device) continue;
      CheckedNode& node = pipeline_.nodes[static_cast<size_t>(task.node)];
      const auto& ports = node.type->ports;
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

/// A group that other runs take is not released before they have taken it.
void StreamRun::done_reading(Record& record, int l, const Task& task) const {
  if (task.reads.empty() || (l == group_level && options_.gives != nullptr)) return;
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
    const int node = node_of_task(plan, static_cast<int>(t));
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
  const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(node_of_task(level(sample_level), lane.failed_task()))];
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
    const int node = node_of_task(plan, t);
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
