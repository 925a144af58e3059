#include "tools/app/run/batches.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unistd.h>

#include "graph/engine/engine.h"
#include "tools/app/load/part.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

/// An output that is handed over.
struct Wanted {
  int node, port;
  int slot = -1;
  const TypeOps* type = nullptr;
  ListArrays list = nullptr;
};

/// Objects that came back. Lent ones keep it alive.
class Spares {
 public:
  ~Spares() {
    for (auto& [type, objects] : objects_) {
      for (void* object : objects) type->destroy(object);
    }
  }

  void* take(const TypeOps& type) {
    const std::lock_guard lock(mutex_);
    std::vector<void*>& objects = objects_[&type];
    if (objects.empty()) return type.make();
    void* const out = objects.back();
    objects.pop_back();
    return out;
  }

  void give_back(const TypeOps& type, void* object) {
    type.release(object);
    const std::lock_guard lock(mutex_);
    objects_[&type].push_back(object);
  }

 private:
  std::mutex mutex_;
  std::map<const TypeOps*, std::vector<void*>> objects_;
};

struct Lent {
  explicit Lent(std::shared_ptr<Spares> from) : spares(std::move(from)) {}
  ~Lent() {
    for (const auto& [type, object] : objects) spares->give_back(*type, object);
  }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  std::shared_ptr<Spares> spares;
  std::vector<std::pair<const TypeOps*, void*>> objects;
};

int node_of(const CheckedPipeline& pipeline, const std::string& name) {
  std::vector<std::string> names;
  for (size_t n = 0; n < pipeline.nodes.size(); ++n) {
    if (pipeline.nodes[n].name == name) return static_cast<int>(n);
    if (pipeline.nodes[n].scope() == Scope::batch) names.push_back(pipeline.nodes[n].name);
  }
  throw PipelineError("error: until: no node \"" + name + "\"; " + did_you_mean(name, names) + "nodes of batches are: " + join(names));
}

int source_of(const CheckedPipeline& pipeline, const std::vector<std::string>& until) {
  std::set<int> sources;
  for (const std::string& name : until) {
    const CheckedNode& node = pipeline.nodes[static_cast<size_t>(node_of(pipeline, name))];
    if (node.scope() != Scope::batch && !(node.scope() == Scope::device && node.uses.empty())) {
      throw PipelineError("error: until: " + name + " is a " + std::string(scope_name(node.scope())) +
                          " node; batches come from batch nodes, and from device nodes that use no model");
    }
    sources.insert(node.feeds.begin(), node.feeds.end());
  }
  if (sources.size() == 1) return *sources.begin();
  if (sources.size() > 1) throw PipelineError("error: until: " + join(until) + " descend from several sources: open one for each source");
  if (const int source = usual_source(pipeline); source >= 0) return source;
  throw PipelineError("error: no stream trains: name the nodes whose batches are wanted with until");
}

void require(bool fits, const char* name, const char* rule, int64_t value) {
  if (!fits) throw PipelineError(std::string("error: ") + name + " must be " + rule + ", not " + std::to_string(value));
}

bool gives_arrays(const CheckedNode& node) {
  return std::any_of(node.ports.begin(), node.ports.end(),
                     [](const PortDoc& port) { return !port.input && arrays_of_type(port.type->name) != nullptr; });
}

}  // namespace

class Batches::Impl {
 public:
  explicit Impl(BatchesArgs args) : args_(std::move(args)) {
    require(args_.epochs >= 0, "epochs", "at least 1, or none for run.epochs", args_.epochs);
    require(args_.threads >= 0, "threads", "at least 0", args_.threads);
    require(args_.ahead >= 1, "ahead", "at least 1", args_.ahead);
    require(args_.world >= 1, "world", "at least 1", args_.world);
    require(args_.rank >= 0 && args_.rank < args_.world, "rank", "at least 0 and less than world", args_.rank);
    choose();
    EngineOptions options;
    options.threads = args_.threads;
    options.rank = args_.rank;
    options.world = args_.world;
    for (const CheckedNode& node : pipeline_.nodes) options.in_ledger.push_back(in_ledger_[node.name]);
    options.on_group = [this](GroupRecord& group, const Segment& segment) { return take(group, segment); };
    options.on_step = [this](const StepContext& context) {
      const std::lock_guard lock(mutex_);
      ledgers_[context.step] = context.ledger;
      if (ledgers_.size() > 1024) ledgers_.erase(ledgers_.begin());
      changed_.notify_all();
    };
    options.on_quarantine = [](const BadSample& bad) { log_warning(bad.key + (bad.kept ? ": kept: " : ": replaced: ") + bad.error); };
    engine_ = std::make_unique<Engine>(pipeline_, std::move(options));
    find_slots();
  }

  ~Impl() { stop(); }

  std::optional<Batch> next() {
    std::unique_lock lock(mutex_);
    if (closed_) throw RunError("the batches were closed");
    if (given_ >= total()) return std::nullopt;
    if (!thread_.joinable() && !failure_) start();
    changed_.wait(lock, [&] { return !ready_.empty() || ended_ || closed_; });
    if (!ready_.empty()) {
      Batch out = std::move(ready_.front());
      ready_.pop_front();
      ++given_;
      changed_.notify_all();
      return out;
    }
    if (closed_) throw RunError("the batches were closed");
    if (failure_) std::rethrow_exception(failure_);
    throw RunError("the input ended too early");
  }

  void seek(int64_t groups) {
    const int64_t world_step = groups_per_step(), step = groups / world_step, rest = groups % world_step;
    if (groups < 0 || step > steps() || (step == steps() && rest > 0)) {
      throw PipelineError("error: position " + std::to_string(groups) + " is beyond the " + std::to_string(steps()) + " steps of " +
                          std::to_string(world_step) + " groups: is it of another pipeline?");
    }
    if (rest > 0 && args_.world > 1) {
      throw PipelineError("error: position " + std::to_string(groups) + " lies inside a step of " + std::to_string(world_step) + " groups, which " +
                          std::to_string(args_.world) + " ranks share: only one process can go on from there");
    }
    stop();
    const std::lock_guard lock(mutex_);
    given_ = first_ = step * per_step() + rest;
    ended_ = false;
    stopping_ = false;
    failure_ = nullptr;
    ready_.clear();
    ledgers_.clear();
  }

  std::optional<int64_t> position() const {
    const std::lock_guard lock(mutex_);
    const int64_t rest = given_ % per_step();
    if (rest > 0 && args_.world > 1) return std::nullopt;
    return given_ / per_step() * groups_per_step() + rest;
  }

  int64_t given() const {
    const std::lock_guard lock(mutex_);
    return given_;
  }

  std::optional<uint64_t> ledger() {
    std::unique_lock lock(mutex_);
    const int64_t step = given_ / per_step(), from = first_ / per_step();  // the first may have been made whole, and read in part
    if (step <= from) return std::nullopt;
    // The step's last group was read: its end can't wait for the reader.
    changed_.wait(lock, [&] { return ledgers_.contains(step) || ended_ || stopping_; });
    const auto found = ledgers_.find(step);
    return found == ledgers_.end() ? std::nullopt : std::optional(found->second);
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    stop();
  }

  /// A forked child has none of the threads, and one of them may have held the mutex.
  bool foreign() const { return getpid() != process_; }
  int64_t groups_per_step() const { return engine_->plan().streams[0].groups_per_step; }
  int64_t per_step() const { return groups_per_step() / args_.world; }
  int64_t steps() const { return engine_->info().total_steps; }
  int64_t total() const { return steps() * per_step(); }
  const Engine& engine() const { return *engine_; }
  int64_t epochs() const { return pipeline_.run.epochs; }
  const std::vector<std::string>& nodes() const { return names_; }

 private:
  void choose() {
    CheckedPipeline all = load_checked(args_.pipeline);
    const int source = source_of(all, args_.until);
    const std::vector<bool> trains = lower(all).trains;
    names_ = args_.until;
    std::vector<bool> marked(all.nodes.size());
    for (const int n : all.nodes_of(source)) {
      const CheckedNode& node = all.nodes[static_cast<size_t>(n)];
      if (args_.until.empty() && node.scope() == Scope::batch && trains[static_cast<size_t>(n)] && gives_arrays(node)) names_.push_back(node.name);
      in_ledger_[node.name] = trains[static_cast<size_t>(n)] || all.training_source != source;
    }
    if (names_.empty()) throw PipelineError("error: no batch node descends from " + all.nodes[static_cast<size_t>(source)].name);
    for (const std::string& name : names_) marked[static_cast<size_t>(node_of(all, name))] = true;
    mark_ancestors(all, marked);
    const std::vector<bool> kept = input_side(all, source, /*on_device=*/true, marked);
    for (const std::string& name : names_) {
      if (!kept[static_cast<size_t>(node_of(all, name))]) throw PipelineError("error: until: " + name + " needs nodes that use models");
    }
    pipeline_ = host_part_of(std::move(all), source, kept);
    pipeline_.run.steps = 0;
    if (args_.epochs > 0) pipeline_.run.epochs = args_.epochs;
  }

  void find_slots() {
    const LevelPlan& level = engine_->plan().streams[0].level[group_level];
    std::set<int> taken;
    for (const std::string& name : names_) {
      const int n = node_of(pipeline_, name);
      const auto task = std::find_if(level.tasks.begin(), level.tasks.end(), [&](const Task& t) { return t.node == n; });
      const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
      for (size_t p = 0; task != level.tasks.end() && p < node.ports.size(); ++p) {
        const PortDoc& port = node.ports[p];
        const int slot = task->slots[p].index;
        if (port.input || slot < 0) continue;
        if (!taken.insert(slot).second) {
          throw PipelineError("error: until: " + name + "." + port.name + " takes the place of another output that is wanted, too: leave that out");
        }
        if (const ListArrays list = arrays_of_type(port.type->name)) wanted_.push_back({n, static_cast<int>(p), slot, port.type, list});
      }
    }
    if (wanted_.empty()) throw PipelineError("error: until: " + join(names_) + " have no output that can be read as arrays");
  }

  /// Under the mutex.
  void start() {
    first_ = given_;
    ended_ = stopping_ = false;
    thread_ = std::thread([this] {
      std::exception_ptr failure;
      try {
        engine_->repeat(first_ / per_step() + 1, steps());
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      if (!stopping_) failure_ = failure;
      ended_ = true;
      changed_.notify_all();
    });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  bool take(GroupRecord& group, const Segment& segment) {
    const int64_t index = segment.groups_before() + group.index;  // on this rank
    if (index < first_) return true;
    Batch batch{.step = group.place.step, .epoch = static_cast<int64_t>(group.place.epoch), .images = group.images};
    batch.group = segment.first_group + group.index % segment.groups;
    const auto lent = std::make_shared<Lent>(spares_);
    for (const Wanted& wanted : wanted_) {
      void*& slot = group.slots()[wanted.slot];
      std::vector<ArrayView> arrays = wanted.list(slot);
      if (arrays.empty()) continue;
      const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(wanted.node)];
      batch.values.push_back({node.name, node.ports[static_cast<size_t>(wanted.port)].name, std::move(arrays)});
      lent->objects.emplace_back(wanted.type, std::exchange(slot, spares_->take(*wanted.type)));
    }
    batch.owner = lent;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return static_cast<int>(ready_.size()) < args_.ahead || stopping_; });
    if (stopping_) return false;
    ready_.push_back(std::move(batch));
    changed_.notify_all();
    return true;
  }

  const BatchesArgs args_;
  const pid_t process_ = getpid();
  std::vector<std::string> names_;
  std::map<std::string, bool> in_ledger_;
  CheckedPipeline pipeline_;
  std::vector<Wanted> wanted_;
  std::shared_ptr<Spares> spares_ = std::make_shared<Spares>();
  std::unique_ptr<Engine> engine_;
  std::thread thread_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::map<int64_t, uint64_t> ledgers_;
  int64_t given_ = 0;  // on this rank
  int64_t first_ = 0;  // since start() or seek(); constant while the thread runs
  bool ended_ = false, stopping_ = false, closed_ = false;
  std::exception_ptr failure_;
};

Batches::Batches(BatchesArgs args) : impl_(std::make_unique<Impl>(std::move(args))) {}
Batches::~Batches() {
  if (impl_ && impl_->foreign()) (void)impl_.release();
}
Batches::Impl& Batches::here() const {
  if (impl_->foreign())
    throw RunError("the threads that make batches live in the process that opened them, and this is a forked one: open them here");
  return *impl_;
}
std::optional<Batch> Batches::next() { return here().next(); }
void Batches::seek(int64_t groups) { here().seek(groups); }
int64_t Batches::given() const { return here().given(); }
std::optional<int64_t> Batches::position() const { return here().position(); }
std::optional<uint64_t> Batches::ledger() const { return here().ledger(); }
int64_t Batches::batches_per_epoch() const { return impl_->engine().info().steps_per_epoch * impl_->per_step(); }
int64_t Batches::groups_per_step() const { return impl_->groups_per_step(); }
int64_t Batches::epochs() const { return impl_->epochs(); }
int64_t Batches::samples_per_batch() const { return impl_->engine().plan().streams[0].grouping.group; }
const std::vector<std::string>& Batches::nodes() const { return impl_->nodes(); }
const std::vector<std::string>& Batches::classes() const { return impl_->engine().info().classes; }
void Batches::close() {
  if (!impl_->foreign()) impl_->close();
}

}  // namespace flowrun::app
