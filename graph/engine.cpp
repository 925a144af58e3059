#include "graph/engine.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <thread>

#include "graph/bind.h"
#include "graph/device.h"
#include "graph/group_recorder.h"
#include "graph/json_text.h"
#include "graph/ranks.h"

namespace flowrun {
namespace {

const char* const engine_state = "@engine";

}  // namespace

Engine::~Engine() {
  // Tensors are destroyed on the thread that used them.
  executor_->on_device([&] {
    recorder_.reset();
    for (CheckedNode& node : pipeline_.nodes) node.node.reset();
    resources_.clear();
  });
}

/// The message, with the replay command if there is one.
std::string Engine::text_of(const Failure& failure) const {
  if (failure.replay.empty() || info_.directory.empty()) return failure.message;
  return failure.message + "\n  replay: flowrun replay " + info_.directory + " " + failure.replay + (pipeline_.plugins.empty() ? "" : " --trust");
}

void Engine::restore() {
  if (!options_.resume) return;
  const Snapshot& saved = options_.resume->snapshot;
  const auto state_of = [&](const std::string& name) -> const State& {
    const auto found = saved.find(name);
    if (found == saved.end()) throw RunError(name + ": the checkpoint has no state of it; was the pipeline changed since?");
    return found->second;
  };
  for (size_t m = 0; m < resources_.size(); ++m) {
    const std::string& name = pipeline_.models[m].name;
    guard(name, [&] { resources_[m]->restore(state_of(name)); });
  }
  for (CheckedNode& node : pipeline_.nodes) {
    if (node.type->stateful) guard(node.name, [&] { node.node->restore(state_of(node.name)); });
  }
  const State& own = state_of(engine_state);
  const auto bad = own.find("bad"), known = own.find("bad_samples");
  if (bad == own.end() || bad->second.bytes != sizeof(int64_t)) throw RunError("the checkpoint's count of bad samples is damaged");
  std::memcpy(&bad_.others, bad->second.data.get(), sizeof(int64_t));
  step_ = options_.resume->step;
  if (known == own.end() || (change_ && change_->after_step == step_)) return;
  std::vector<uint64_t> samples(known->second.bytes / sizeof(uint64_t));
  std::memcpy(samples.data(), known->second.data.get(), samples.size() * sizeof(uint64_t));
  bad_.known.insert(samples.begin(), samples.end());
  bad_.others -= static_cast<int64_t>(bad_.known.size());
}

Snapshot Engine::snapshot() const {
  Snapshot out;
  for (size_t m = 0; m < resources_.size(); ++m) out[pipeline_.models[m].name] = resources_[m]->save();
  for (const CheckedNode& node : pipeline_.nodes) {
    if (auto state = node.node->save()) out[node.name] = std::move(*state);
  }
  auto bad = std::make_shared<int64_t>(bad_.count());
  out[engine_state]["bad"] = {"I64", {1}, bad, sizeof(int64_t)};
  if (!bad_.known.empty()) {
    auto known = std::make_shared<std::vector<uint64_t>>(bad_.known.begin(), bad_.known.end());
    const size_t bytes = known->size() * sizeof(uint64_t);
    out[engine_state]["bad_samples"] = {"I64", {static_cast<int64_t>(known->size())}, {known, known->data()}, bytes};
  }
  return out;
}

std::vector<StepSample> Engine::samples_of(int64_t step, const Replaced& replaced) const {
  std::vector<StepSample> out;
  if (pipeline_.training_source < 0 || step < 1) return out;
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(pipeline_.training_source)];
  const StreamPlan& stream = plan_.streams[0];
  const uint64_t samples = source.node->size();
  const Segment segment = Segment::training(stream, samples, step, 1, info_);
  for (int64_t group = 0; group < segment.groups; ++group) {
    const Place place = segment.place(group);
    const Permutation order(samples, pipeline_.seed, source.stream, place.epoch);
    for (uint64_t position = place.position; position < place.position + static_cast<uint64_t>(stream.grouping.group); ++position) {
      uint64_t sample = order(position);
      if (const auto found = replaced.find({place.epoch, position}); found != replaced.end()) {
        sample = substitute_sample(pipeline_.seed, source.stream, place.epoch, position, found->second, samples);
      }
      out.push_back({place.epoch, position, sample, source.node->key(sample)});
    }
  }
  return out;
}

double Engine::epoch_at(int64_t step) const {
  return info_.steps_per_epoch == 0 ? 0 : static_cast<double>(step + info_.epoch_shift) / static_cast<double>(info_.steps_per_epoch);
}

void Engine::fill(StepContext& context) const {
  context.seconds = stats_->seconds();
  context.engine = this;
  context.snapshot = [](const void* engine) { return static_cast<const Engine*>(engine)->snapshot(); };
  context.own_seconds = [](const void* engine) { return static_cast<const Engine*>(engine)->own_seconds(); };
  context.samples = [](const void* engine, int64_t step) {
    const auto* const self = static_cast<const Engine*>(engine);
    return self->samples_of(step, self->replaced_);
  };
}

/// Called on all ranks at the same points of the run.
bool Engine::stop_asked() const {
  const bool here = options_.stop != nullptr && options_.stop->load();
  if (info_.ranks == nullptr) return here;
  std::vector<int64_t> ranks = {here ? 1 : 0};
  info_.ranks->works_for("", step_);
  info_.ranks->sum(ranks, "agreeing to stop or go on");
  return ranks[0] > 0;
}

void Engine::require_equal(const std::string& what, const std::string& mine) const {
  if (info_.ranks == nullptr) return;
  const std::vector<std::string> all = info_.ranks->gather(mine, "comparing " + what);
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    throw PipelineError("error: " + what + " differ: rank 0 has " + all[0] + ", rank " + std::to_string(rank) + " has " + all[rank] +
                        "; all ranks must see the same data");
  }
}

/// Adds up a step's totals over all ranks. On the device's thread, at the end of the step's groups.
void Engine::agree(int64_t step, StepTotals& totals) const {
  const std::string what = "the end of step " + std::to_string(step);
  info_.ranks->works_for("", step);
  std::vector<int64_t> words = {static_cast<int64_t>(totals.ledger), totals.stop ? 1 : 0, static_cast<int64_t>(totals.bad.size())};
  info_.ranks->sum(words, what);
  totals.ledger = static_cast<uint64_t>(words[0]);
  totals.stop = words[1] > 0;
  if (words[2] == 0) return;
  auto mine = nlohmann::json::array();
  for (const BadSample& bad : totals.bad) mine.push_back({bad.epoch, bad.position, bad.sample, bad.key, bad.error, bad.kept});
  totals.bad.clear();
  for (const std::string& text : info_.ranks->gather(json_text(mine), what)) {
    for (const auto& bad : nlohmann::json::parse(text)) {
      totals.bad.push_back({bad[0], bad[1], bad[2], bad[3], bad[4], bad[5]});
    }
  }
}

double Engine::own_seconds() const {
  double sum = 0;
  for (size_t n = 0; n < pipeline_.nodes.size(); ++n) {
    if (pipeline_.nodes[n].scope() != Scope::device) continue;
    const Stats::Summary summary = stats_->summary(n);
    sum += summary.busy + summary.wait_input;
  }
  return sum;
}

StreamOptions Engine::stream_options() {
  StreamOptions out;
  out.seed = pipeline_.seed;
  out.max_bad = pipeline_.run.max_bad;
  out.bad = &bad_;
  out.memory = static_cast<size_t>(pipeline_.run.memory_mib) << 20;
  out.jitter = options_.jitter;
  out.counts_cpu = options_.counts_cpu;
  out.stubs = stubs_ ? &*stubs_ : nullptr;
  out.slowdown = options_.slowdown;
  out.run = &info_;
  out.inactive = &inactive_;
  out.fill_step = [this](StepContext& context) { fill(context); };
  out.on_step = options_.on_step;
  out.quarantine = [this](const BadSample& bad) {
    if (!bad.kept) {
      ++replaced_[{bad.epoch, bad.position}];
    }
    if (options_.on_quarantine) options_.on_quarantine(bad);
  };
  return out;
}

std::optional<Failure> Engine::train(int64_t to) {
  const uint64_t samples = pipeline_.nodes[static_cast<size_t>(pipeline_.training_source)].node->size();
  const Segment segment = Segment::training(plan_.streams[0], samples, step_ + 1, to - step_, info_);
  StreamOptions options = stream_options();
  options.stop = options_.stop;
  options.watch = [this](StreamRun* run) { watch(run); };
  if (info_.ranks != nullptr) options.agree = [this](int64_t step, StepTotals& totals) { agree(step, totals); };
  options.tap = options_.tap;
  options.replaced = options_.replaced;
  options.recorder = recorder_.get();
  options.gives = options_.gives;
  options.takes = options_.takes;
  const auto run = executor_->run(pipeline_, plan_, segment, *stats_, std::move(options));
  if (options_.gives != nullptr) {
    std::optional<Failure> failure = run->failure();
    if (failure) failure->index += segment.groups_before() * segment.stream->grouping.group;
    options_.gives->end(std::move(failure));
  }
  step_ += run->completed_steps();
  if (options_.takes != nullptr && step_ < to) options_.takes->leave();  // the other ranks needn't wait for the following work
  slots_ = run->slots();
  bytes_in_flight_ = run->bytes_in_flight();
  return run->failure();
}

bool Engine::any_due(const std::function<bool(const Moments&)>& due) const {
  return std::any_of(plan_.evaluations.begin(), plan_.evaluations.end(), [&](int n) { return due(pipeline_.nodes[static_cast<size_t>(n)].at); });
}

/// Passes the streams of all evaluation nodes that are due, then runs those nodes.
void Engine::evaluate(const std::function<bool(const Moments&)>& due) {
  if (!any_due(due)) return;
  for (const int n : plan_.evaluations) {
    const CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
    inactive_[static_cast<size_t>(n)] = !due(node.at) || failed_evaluations_.contains(node.name);
  }
  for (const StreamPlan& stream : plan_.streams) {
    const bool wanted = std::any_of(plan_.evaluations.begin(), plan_.evaluations.end(), [&](int n) { return is_active(n, stream.source); });
    if (wanted && !pass(stream)) return void(evaluation_stopped_ = true);
  }
  executor_->on_device([&] {
    for (const int n : plan_.evaluations) {
      if (!inactive_[static_cast<size_t>(n)]) run_evaluation(n);
    }
  });
}

/// Whether the evaluation node is due and descends from the source.
bool Engine::is_active(int evaluation, int source) const {
  const std::vector<int>& feeds = pipeline_.nodes[static_cast<size_t>(evaluation)].feeds;
  return !inactive_[static_cast<size_t>(evaluation)] && std::find(feeds.begin(), feeds.end(), source) != feeds.end();
}

/// Passes all samples of an evaluation stream. False: a stop was requested meanwhile. If a rank fails, all ranks leave the stream's
/// evaluations.
bool Engine::pass(const StreamPlan& stream) {
  const CheckedNode& source = pipeline_.nodes[static_cast<size_t>(stream.source)];
  const Segment segment = Segment::pass(stream, source.node->size(), info_.rank, info_.world);
  StreamOptions options = stream_options();
  if (info_.ranks == nullptr) options.stop = options_.stop;  // ranks stop together, after the pass
  options.watch = [this](StreamRun* run) { watch(run); };
  if (options_.on_evaluating) {
    options.on_images = [&](int64_t images) { options_.on_evaluating(source.name, images, static_cast<int64_t>(segment.samples)); };
  }
  std::string failure;
  if (info_.ranks != nullptr) info_.ranks->begin_part();
  if (segment.groups > 0) {  // otherwise there are more ranks than groups
    const auto run = executor_->run(pipeline_, plan_, segment, *stats_, std::move(options));
    if (run->failure()) failure = text_of(*run->failure());
    if (info_.ranks == nullptr && failure.empty() && run->completed_steps() == 0) return false;
  }
  if (info_.ranks != nullptr) failure = info_.ranks->end_part(failure);
  for (const int n : plan_.evaluations) {
    if (!failure.empty() && is_active(n, stream.source)) fail_evaluation(n, failure);
  }
  return info_.ranks == nullptr || !stop_asked();
}

/// Runs the node, which may communicate with the other ranks. Returns the reason for a failure on any rank; empty: none
/// failed.
std::string Engine::call_evaluation(CheckedNode& node, EvaluationContext& context) {
  const std::vector<PortSlot> unbound(node.type->ports.size());  // fold() has seen the inputs
  std::string failure;
  if (info_.ranks != nullptr) info_.ranks->works_for(node.name, step_), info_.ranks->begin_part();
  try {
    node.node->run(Call{nullptr, nullptr, unbound.data()}, context);
  } catch (const PipelineError&) {
    throw;
  } catch (const RankError& error) {
    throw RunError(node.name + ": " + error.what());
  } catch (const PartLeft&) {
    // The other rank reports the reason.
  } catch (const std::exception& error) {
    failure = node.name + ": " + message_of(error);
  }
  if (info_.ranks != nullptr) failure = info_.ranks->end_part(failure), info_.ranks->works_for("", step_);
  return failure;
}

/// On the device's thread.
void Engine::run_evaluation(int n) {
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
  Worker worker(*stats_, stats_->workers() - 1, options_.counts_cpu);
  Reports reports;
  Notes notes;
  EvaluationContext context{info_, step_, epoch_at(step_), reports, notes};
  worker.begin();
  worker.enter(n, step_level, step_, 0);
  const std::string failure = call_evaluation(node, context);
  if (failure.empty()) worker.end(n);
  worker.idle();
  if (!failure.empty()) return fail_evaluation(n, failure);
  if (options_.on_evaluation) options_.on_evaluation(node.name, context);
}

/// Training continues without the evaluation, which holds partial results and is not repeated in this process. If nothing
/// trains, the run fails with RunError. Called on all ranks.
void Engine::fail_evaluation(int n, const std::string& why) {
  if (pipeline_.training_source < 0) throw RunError(why);
  const std::string& name = pipeline_.nodes[static_cast<size_t>(n)].name;
  inactive_[static_cast<size_t>(n)] = true;
  failed_evaluations_[name] = why;
  if (info_.rank != 0) return;
  log_warning("the evaluation " + name + " failed after step " + std::to_string(step_) + ", and is left out from now on; training goes on\n  " + why);
}

/// The next step at which training pauses for an evaluation, or ends.
int64_t Engine::next_stop(int64_t step) const {
  int64_t next = info_.last_step;
  for (const int n : plan_.evaluations) {
    const Moments& at = pipeline_.nodes[static_cast<size_t>(n)].at;
    for (const Period& period : at.periods()) next = std::min(next, period.next(step, info_));
  }
  return next;
}

void Engine::finish_nodes(bool stopping) {
  executor_->on_device([&] {
    Reports reports;
    for (CheckedNode& node : pipeline_.nodes) {
      if (node.scope() != Scope::step) continue;
      StepContext context{.run = info_,
                          .step = step_,
                          .epoch = epoch_at(step_),
                          .images = step_ * info_.batch,
                          .ledger = 0,
                          .seconds = 0,
                          .first_step = 1,
                          .stopping = stopping,
                          .reports = reports,
                          .snapshot = nullptr,
                          .engine = nullptr};
      fill(context);
      if (info_.ranks != nullptr) info_.ranks->works_for(node.name, step_);
      guard(node.name, [&] { node.node->finish(context); });
      if (info_.ranks != nullptr) info_.ranks->works_for("", step_);
    }
  });
}

RunResult Engine::run() {
  const auto periodic = [&](const Moments& at) {
    const std::vector<Period> periods = at.periods();
    return step_ > 0 && std::any_of(periods.begin(), periods.end(), [&](const Period& period) { return period.due(step_, info_); });
  };
  if (step_ == 0) evaluate([](const Moments& at) { return at.start; });
  // The checkpoint was written before the evaluation of its step; if there is one, it is made now.
  if (step_ > 0 && step_ < info_.last_step) evaluate(periodic);
  while (step_ < info_.last_step && !stop_asked()) {
    const int64_t to = next_stop(step_);
    if (const auto failure = train(to)) {
      if (info_.ranks != nullptr) info_.ranks->part();
      // Training up to a bad sample is saved; after a fault in the middle of a step there is nothing to save.
      if (!failure->device && step_ > 0) finish_nodes(true);
      if (failure->device && options_.on_failed_step) options_.on_failed_step(failure->step, samples_of(failure->step, replaced_));
      throw RunError(text_of(*failure));
    }
    if (step_ < to || step_ >= info_.last_step) break;
    try {
      evaluate(periodic);
    } catch (const std::exception&) {  // the ranks have lost each other
      if (info_.ranks != nullptr) info_.ranks->part();
      finish_nodes(true);  // an evaluation changes no model: the training is saved
      throw;
    }
  }
  const bool stopped = step_ < info_.last_step;
  if (pipeline_.training_source >= 0) finish_nodes(stopped);
  if (!stopped) evaluate([&](const Moments& at) { return at.end || periodic(at); });
  return {stopped || evaluation_stopped_, step_, step_ * info_.batch, stats_->seconds(), failed_evaluations_};
}

void Engine::repeat(int64_t first_step, int64_t last_step) {
  step_ = first_step - 1;
  bad_ = {};
  replaced_.clear();
  if (const auto failure = train(last_step)) throw RunError(text_of(*failure));
}

nlohmann::ordered_json Engine::stats_json() const {
  std::vector<std::string> names, scopes;
  for (const CheckedNode& node : pipeline_.nodes) {
    names.push_back(node.name);
    scopes.emplace_back(scope_name(node.scope()));
  }
  nlohmann::ordered_json out;
  out["seconds"] = stats_->seconds();
  out["threads"] = info_.threads;
  out["cores"] = available_cores();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out["cpu_seconds"] = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  out["nodes"] = stats_->json(names, scopes);
  if (recorder_ != nullptr) {
    const GroupRecorder::Counts counts = recorder_->counts();
    out["recordings"] = {{"submitted", counts.submitted}, {"recorded", counts.recorded}, {"played", counts.played}};
  }
  if (std::string why = recorder_ == nullptr ? why_not_recorded_ : recorder_->why_not(); !why.empty()) out["recordings"]["why_not"] = std::move(why);
  out["buffers"] = {{"groups", slots_.load()}, {"bytes", bytes_in_flight_.load()}};
  return out;
}

}  // namespace flowrun
