// The context of a node's call: its place in the run, and its random numbers. Contexts are made per call; nothing in
// them depends on threads or on other nodes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "graph/contract/rng.h"
#include "graph/contract/source_data.h"
#include "graph/contract/state.h"

namespace flowrun {

/// State of every model and stateful node by its name in the pipeline.
using Snapshot = std::map<std::string, State>;

class Ranks;

/// The run as a whole, the same for all nodes; immutable while it runs, but for log().
struct RunInfo {
  uint64_t seed = 0;
  std::string device = "cpu";      // resolved: the name of a registered kind
  std::string precision = "fp32";  // resolved: "fp32", "tf32" or "bf16"
  int threads = 1;                 // data threads
  bool pass_per_rank = false;      // run.pass "rank": a group of the training stream is all that this rank has of a step
  bool records = false;            // work on groups may be recorded and played again: its outputs keep their memory
  std::string directory;           // of the run; empty when nothing is written
  bool resumed = false;
  int rank = 0;
  int world = 1;
  Ranks* ranks = nullptr;            // communication; null in a world of 1 (and where ranks only load data)
  int64_t steps_per_epoch = 0;       // of the training stream
  int64_t total_steps = 0;           // that schedules see: run.epochs times steps per epoch
  int64_t last_step = 0;             // the last step of this run: run.steps or total_steps
  int64_t batch = 0;                 // samples in a step, over all ranks
  std::vector<std::string> classes;  // of the training source, by label, if its labels are read
  // For a run that continued with changed data: its epochs and schedules continue from where they stood
  // (data_change.h).
  int64_t epoch_shift = 0;     // steps to add to a step's number before its epoch is counted
  int64_t schedule_floor = 0;  // schedules never stand at an earlier step than this

  /// The step at which schedules are read: that many of total_steps are done.
  int64_t schedule_step(int64_t step) const { return std::max(step + epoch_shift, std::min(schedule_floor, total_steps)); }
};

struct OpenContext {
  const RunInfo& run;
  const std::string& name;                               // of the node or model in the pipeline
  uint64_t stream;                                       // its random stream
  const std::vector<std::string>* read_ports = nullptr;  // its outputs that other nodes read; null: unknown

  const std::map<std::string, const SourceData*>* inputs = nullptr;  // per input port, the data of the source that it descends from

  /// The data that arrive at the input port; null: nothing, or unknown.
  const SourceData* input(const std::string& port) const {
    const auto found = inputs ? inputs->find(port) : std::map<std::string, const SourceData*>::const_iterator();
    return inputs && found != inputs->end() ? found->second : nullptr;
  }
  bool reads(const std::string& port) const { return !read_ports || std::find(read_ports->begin(), read_ports->end(), port) != read_ports->end(); }
};

/// Adds to the node's ledger entry for this record. The engine mixes in node, place and identity, and adds up; null: it drops it.
class LedgerEntry {
 public:
  explicit LedgerEntry(uint64_t* sum) : sum_(sum) {}
  void add(uint64_t hash) const {
    if (sum_ != nullptr) *sum_ += hash;
  }

 private:
  uint64_t* sum_;
};

struct SampleContext {
  uint64_t seed, stream, epoch;
  uint64_t sample;    // index in the source
  uint64_t position;  // in its epoch: which place of which group
  LedgerEntry ledger;
  std::string* remark = nullptr;
  Rng rng() const { return {seed, stream, epoch, sample}; }
  /// The sample is used in spite of a fault. It is listed in quarantine.jsonl (in an evaluation: in the log), and does
  /// not count in run.max_bad.
  void kept(const std::string& why) const {
    if (remark != nullptr) *remark = why;
  }
};

struct GroupContext {
  const RunInfo& run;
  uint64_t seed, stream, epoch;
  uint64_t group;  // in its epoch, over all ranks; the first of its parts
  int64_t step;    // 1-based
  int64_t images;  // in this group
  int64_t groups;  // of this step on this rank
  LedgerEntry ledger;
  int64_t parts = 1;  // with run.pass "rank": the groups of batch.stack in this one, side by side; each draws its own numbers
  Rng rng(int64_t part = 0) const { return {seed, stream, epoch, group + static_cast<uint64_t>(part)}; }
};

/// One record arrives at a node: a sample at a batch node (any thread, any order, several at once: write to place `index` only), or a
/// group at a whole, step or evaluation node (device's executor, in order). A whole node's give() gets one, too.
struct FoldContext {
  const RunInfo& run;
  int64_t index;       // place in the record above
  int64_t count;       // how many come
  int64_t images;      // in the arriving record
  uint64_t sample;     // of the arriving sample
  int64_t step;        // 1-based; the step being filled
  LedgerEntry ledger;  // for batch nodes; entries of other nodes are dropped
};

/// All groups of a step have arrived at a whole node. The same on every rank, apart from the groups that are its own.
struct WholeContext {
  const RunInfo& run;
  uint64_t seed, stream, epoch;
  int64_t step;         // 1-based
  int64_t groups;       // on this rank; they are consecutive
  int64_t first_group;  // of this rank, in the step
  int64_t all_groups;   // over all ranks
  Rng rng() const { return {seed, stream, epoch, static_cast<uint64_t>(step)}; }
};

/// Values that nodes report during a step or an evaluation, by name; the order is by name.
using Reports = std::map<std::string, double>;
/// Notes of an evaluation in words, by name: the split on which something was chosen, for example.
using Notes = std::map<std::string, std::string>;

/// One sample of a step, by the names that messages use.
struct StepSample {
  uint64_t epoch, position, sample;
  std::string key;
};

/// The running run as step nodes see it; only on the device's thread.
class RunView {
 public:
  virtual ~RunView() = default;
  /// States of models and nodes as they are now.
  virtual Snapshot snapshot() const = 0;
  /// The samples of a step on this rank, in their order: for reports of a step that went wrong.
  virtual std::vector<StepSample> samples(int64_t step) const = 0;
  /// Seconds since this process began the run.
  virtual double seconds() const = 0;
  /// Seconds of these in which this rank's device worked on groups, or was idle for want of them: what other ranks wait for.
  virtual double own_seconds() const = 0;
};

struct StepContext {
  const RunInfo& run;
  const RunView& view;
  int64_t step;        // 1-based
  double epoch;        // passed after this step, fractional
  int64_t images;      // passed after this step, over all ranks
  uint64_t ledger;     // of this step
  double seconds;      // since this process began the run
  int64_t first_step;  // of this process, 1-based
  bool stopping;       // finish() on request: the run will be resumed
  Reports& reports;
  void report(const std::string& name, double value) const { reports[name] = value; }
};

struct EvaluationContext {
  const RunInfo& run;
  int64_t step;  // steps trained so far
  double epoch;
  Reports& reports;  // become the node's entry in result.json
  Notes& notes;
  void report(const std::string& name, double value) const { reports[name] = value; }
  void note(const std::string& name, const std::string& text) const { notes[name] = text; }
};

/// A line for the log, and for the terminal; any thread. Nodes don't use it for errors: they throw.
void log_info(const std::string& text);
void log_warning(const std::string& text);

}  // namespace flowrun
