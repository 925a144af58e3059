#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "graph/contract/ranks.h"
#include "graph/engine/engine.h"
#include "graph/run/bind.h"
#include "graph/run/group_recorder.h"
#include "graph/text/json_text.h"

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
    if (pipeline_.nodes[n].scope() != Scope::device && pipeline_.nodes[n].scope() != Scope::whole) continue;
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
  out.cpu_readings = options_.cpu_readings;
  out.stubs = stubs_ ? &*stubs_ : nullptr;
  out.slowdown = options_.slowdown;
  out.run = &info_;
  out.inactive = &inactive_;
  out.view = this;
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
  options.on_group = options_.on_group;
  if (SharedInput* const gives = options_.gives) {
    options.on_group = [gives](GroupRecord& group, const Segment& part) { return gives->offer(group, part); };
  }
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

/// The next step at which training pauses for an evaluation, or ends.
int64_t Engine::next_stop(int64_t step) const {
  int64_t next = info_.last_step;
  for (const int n : plan_.evaluations) {
    const EvaluationTimes& at = pipeline_.nodes[static_cast<size_t>(n)].at;
    for (const Period& period : at.periods()) next = std::min(next, period.next(step, info_));
  }
  return next;
}

/// Of what is done between steps.
StepContext Engine::step_context(bool stopping, Reports& reports) const {
  return {.run = info_,
          .view = *this,
          .step = step_,
          .epoch = epoch_at(step_),
          .images = step_ * info_.batch,
          .ledger = 0,
          .seconds = seconds(),
          .first_step = 1,
          .stopping = stopping,
          .reports = reports};
}

void Engine::finish_nodes(bool stopping) {
  executor_->on_device([&] {
    Reports reports;
    for (CheckedNode& node : pipeline_.nodes) {
      if (node.scope() != Scope::step) continue;
      StepContext context = step_context(stopping, reports);
      if (info_.ranks != nullptr) info_.ranks->works_for(node.name, step_);
      guard(node.name, [&] { node.node->finish(context); });
      if (info_.ranks != nullptr) info_.ranks->works_for("", step_);
    }
  });
}

RunResult Engine::run() {
  const auto periodic = [&](const EvaluationTimes& at) {
    const std::vector<Period> periods = at.periods();
    return step_ > 0 && std::any_of(periods.begin(), periods.end(), [&](const Period& period) { return period.due(step_, info_); });
  };
  if (step_ == 0) evaluate([](const EvaluationTimes& at) { return at.start; });
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
  if (!stopped) evaluate([&](const EvaluationTimes& at) { return at.end || periodic(at); });
  return {stopped || evaluation_stopped_, step_, step_ * info_.batch, stats_->seconds(), failed_evaluations_};
}

void Engine::repeat(int64_t first_step, int64_t last_step) {
  step_ = first_step - 1;
  bad_ = {};
  replaced_.clear();
  if (const auto failure = train(last_step)) throw RunError(text_of(*failure));
}

}  // namespace flowrun
