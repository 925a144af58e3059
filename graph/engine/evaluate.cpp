// The part of Engine that evaluates: which evaluations are due, their passes over streams, and what became of them.
#include <algorithm>

#include "graph/contract/ranks.h"
#include "graph/engine/engine.h"
#include "graph/run/bind.h"

namespace flowrun {

bool Engine::any_due(const std::function<bool(const EvaluationTimes&)>& due) const {
  return std::any_of(plan_.evaluations.begin(), plan_.evaluations.end(), [&](int n) { return due(pipeline_.nodes[static_cast<size_t>(n)].at); });
}

/// Passes the streams of all evaluation nodes that are due, then runs those nodes.
void Engine::evaluate(const std::function<bool(const EvaluationTimes&)>& due) {
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
    Findings found;
    for (const int n : plan_.evaluations) {
      if (!inactive_[static_cast<size_t>(n)]) run_evaluation(n, found);
    }
    if (found.empty()) return;
    Reports reports;
    AfterEvaluations::reach(info_, step_context(/*stopping=*/false, reports), found);
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
  const std::vector<PortSlot> unbound(node.ports.size());  // fold() has seen the inputs
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
void Engine::run_evaluation(int n, Findings& found) {
  CheckedNode& node = pipeline_.nodes[static_cast<size_t>(n)];
  Worker worker(*stats_, stats_->workers() - 1, options_.cpu_readings);
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
  found[node.name] = std::move(reports);
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

}  // namespace flowrun
