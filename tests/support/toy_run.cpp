// Pipelines of toy nodes: loaded, run, and compared.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "graph/check/plugins.h"
#include "graph/contract/device.h"
#include "support/toy_nodes.h"

namespace flowrun::toy {
namespace {

CheckedPipeline load(const std::string& text, const std::vector<std::string>& sets, Diagnostics& faults) {
  const auto source = std::make_shared<::flowrun::Source>(::flowrun::Source{"toy.json", text});
  const Value value = load_pipeline(source, sets, faults);
  load_plugins(value, /*trust=*/false, faults);
  CheckedPipeline pipeline = validate(value, faults);
  if (faults.empty()) {
    resolve_device(pipeline.run);
    (void)resolved_json(pipeline);
  }
  return pipeline;
}

}  // namespace

const char* const training = R"({
  "seed": 7,
  "run": { "epochs": 3 },
  "models": {
    "student": { "type": "toy.weights" },
    "teacher": { "type": "toy.copy", "of": "student" }
  },
  "nodes": {
    "numbers": { "type": "toy.numbers", "n": 50 },
    "one":     { "type": "toy.noise", "in": "numbers" },
    "two":     { "type": "toy.noise", "in": "numbers" },
    "both":    { "type": "toy.join", "in": { "a": "one", "b": "two" } },
    "stack":   { "type": "toy.stack", "in": "both", "size": 12, "group": 3 },
    "mask":    { "type": "toy.mask", "in": "stack" },
    "learn":   { "type": "toy.scale", "in": { "numbers": "stack", "mask": "mask" }, "model": "student" },
    "teach":   { "type": "toy.scale", "in": "stack", "model": "teacher" },
    "loss":    { "type": "toy.add", "in": { "a": "learn", "b": "teach" } },
    "update":  { "type": "toy.sum", "in": "loss", "model": "student" },
    "ema":     { "type": "toy.ema", "after": "update", "from": "student", "to": "teacher" },
    "count":   { "type": "toy.count", "in": { "loss": "update" } },
    "record":  { "type": "toy.record", "models": ["student", "teacher"] }
  }
})";

Bytes bytes_of(const Snapshot& snapshot) {
  Bytes out;
  for (const auto& [owner, state] : snapshot) {
    for (const auto& [name, array] : state) {
      out[owner + "/" + name] = std::string(static_cast<const char*>(array.data.get()), array.bytes);
    }
  }
  return out;
}

ToyRun run_toy(const std::string& text, EngineOptions options, const std::vector<std::string>& sets) {
  ToyRun out;
  Diagnostics faults;
  CheckedPipeline pipeline = load(text, sets, faults);
  if (!faults.empty()) {
    out.faults = faults.render();
    return out;
  }
  const auto on_step = std::move(options.on_step);
  options.on_step = [&](const StepContext& context) {
    out.steps.push_back({context.step, context.epoch, context.images, context.ledger, context.reports});
    out.snapshots.push_back(context.view.snapshot());
    if (on_step) on_step(context);
  };
  options.on_evaluation = [&](const std::string& node, const EvaluationContext& context) {
    out.evaluations.push_back({node, context.step, context.reports});
  };
  options.on_quarantine = [&](const BadSample& bad) {
    out.quarantine.push_back(std::to_string(bad.epoch) + "/" + std::to_string(bad.position) + " " + bad.key + ": " + bad.error +
                             (bad.kept ? " (kept)" : "") + (bad.training ? "" : " (evaluation)"));
  };
  try {
    Engine engine(pipeline, std::move(options));
    out.result = engine.run();
    out.stats_text = engine.stats_json().dump();
  } catch (const PipelineError& error) {
    out.pipeline_error = true;
    out.error = error.what();
  } catch (const RunError& error) {
    out.error = error.what();
  }
  return out;
}

nlohmann::ordered_json ToyRun::stats() const { return nlohmann::ordered_json::parse(stats_text); }

CheckedPipeline checked(const std::string& text, const std::vector<std::string>& sets) {
  Diagnostics faults;
  CheckedPipeline pipeline = load(text, sets, faults);
  if (!faults.empty()) ADD_FAILURE() << faults.render();
  return pipeline;
}

std::string faults_of(const std::string& text, const std::vector<std::string>& sets) {
  Diagnostics faults;
  (void)load(text, sets, faults);
  return faults.empty() ? "" : faults.render();
}

void expect_equal(const ToyRun& expected, const ToyRun& actual) {
  EXPECT_EQ(expected.faults, actual.faults);
  EXPECT_EQ(expected.error, actual.error);
  EXPECT_EQ(expected.result.steps, actual.result.steps);
  ASSERT_EQ(expected.steps.size(), actual.steps.size());
  for (size_t s = 0; s < expected.steps.size(); ++s) {
    EXPECT_TRUE(expected.steps[s] == actual.steps[s]) << "step " << expected.steps[s].step;
  }
  EXPECT_EQ(expected.quarantine, actual.quarantine);
  EXPECT_EQ(expected.models(), actual.models());
  EXPECT_TRUE(expected.evaluations == actual.evaluations);
}

EngineOptions serial() {
  EngineOptions out;
  out.serial = true;
  return out;
}

EngineOptions threads(int count, uint64_t jitter) {
  EngineOptions out;
  out.threads = count;
  out.jitter = jitter;
  return out;
}

}  // namespace flowrun::toy
