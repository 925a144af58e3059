// Toy pipelines: nodes over plain numbers whose results show every change of order, and a helper that runs a pipeline
// as the command line does and keeps all comparable results.
//
//   toy.numbers    source      n samples; `bad` lists those that fail; reading one takes `storage_us` unless it was asked for
//   toy.noise      sample      adds a random number, and enters it in the ledger
//   toy.join       sample      a and b
//   toy.slow       sample      keeps a thread busy for a time that depends on the sample
//   toy.fail       sample      fails for listed samples, or with a chance
//   toy.stack      batch       size, group; folds numbers
//   toy.mask       batch       a random number per group, in the ledger
//   toy.scale      device      dot product with a model (and a mask)
//   toy.add        device      two dot products
//   toy.total      device      any number of dot products, in the order of its list
//   toy.centre     whole       takes off what all groups of a step have in common
//   toy.totals     step        the same over the groups of a step
//   toy.sum        step        folds groups in order, and changes a model so that the order shows in the last bits
//   toy.ema        step        reads a model, writes another
//   toy.count      step        stateful sink
//   toy.look       step        takes groups, changes nothing
//   toy.record     step, report  reports the models it reads
//   toy.measure    evaluation  sums what passes
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "graph/compose/pipeline.h"
#include "graph/engine/engine.h"

namespace flowrun::toy {

struct StepSeen {
  int64_t step = 0;
  double epoch = 0;
  int64_t images = 0;
  uint64_t ledger = 0;
  Reports reports;
  bool operator==(const StepSeen&) const = default;
};

struct EvaluationSeen {
  std::string node;
  int64_t step = 0;
  Reports reports;
  bool operator==(const EvaluationSeen&) const = default;
};

/// The arrays of a snapshot as bytes, by "owner/array": comparable.
using Bytes = std::map<std::string, std::string>;
Bytes bytes_of(const Snapshot& snapshot);

struct ToyRun {
  std::vector<StepSeen> steps;
  std::vector<Snapshot> snapshots;  // after each step
  std::vector<EvaluationSeen> evaluations;
  std::vector<std::string> quarantine;  // one line per replaced sample
  RunResult result;
  std::string faults;           // rendered; empty: the pipeline is valid
  std::string error;            // of the run; empty: none
  bool pipeline_error = false;  // the error was a PipelineError
  nlohmann::ordered_json stats() const;
  std::string stats_text;
  Bytes models() const { return snapshots.empty() ? Bytes{} : bytes_of(snapshots.back()); }
};

/// Samples that toy.numbers read without having been asked for them before; counted from the beginning of a run.
extern std::atomic<int64_t> slow_reads;

/// load_pipeline, load_plugins, validate, resolve, Engine, run: as the command line does it.
ToyRun run_toy(const std::string& text, EngineOptions options = {}, const std::vector<std::string>& sets = {});

/// A checked pipeline; fails the calling test on faults.
CheckedPipeline checked(const std::string& text, const std::vector<std::string>& sets = {});
/// The rendered faults of a text, empty when there are none.
std::string faults_of(const std::string& text, const std::vector<std::string>& sets = {});

/// The results that two runs of the same mathematics must share.
void expect_equal(const ToyRun& expected, const ToyRun& actual);

EngineOptions serial();
EngineOptions threads(int count, uint64_t jitter = 0);

/// A pipeline with a diamond, two branches on the device, a teacher and a stateful node. `sets` change it.
extern const char* const training;

}  // namespace flowrun::toy
