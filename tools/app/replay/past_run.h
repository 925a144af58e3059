// A finished run: the contents of its directory, and the repetition of any of its steps, as far as the host's nodes.
#pragma once

#include <map>

#include "graph/engine/engine.h"
#include "io/run/run_directory.h"
#include "tools/app/run/data_record.h"

namespace flowrun::app {

/// The values of a step in metrics.jsonl.
struct ReportedStep {
  uint64_t ledger = 0;
  double epoch = 0;  // passed after it
};

/// The contents of a run directory. Reading doesn't disturb a run that goes on.
struct PastRun {
  /// Throws PipelineError when `run` holds no run, or one that doesn't train, or needs plug-ins that are not trusted.
  PastRun(const std::filesystem::path& run, bool trust);

  io::RunPaths paths;
  CheckedPipeline pipeline;               // as it was resolved
  std::map<int64_t, ReportedStep> steps;  // by number; those that were reported
  Replaced replaced;                      // of quarantine.jsonl
  std::string edited;                     // the fault of the resolved pipeline; empty: none
  std::optional<DataRecord> data;         // none: an older version of flowrun made the run
  int64_t other_data_until = 0;           // steps up to here were made with data that have changed since

  /// "step 7 was not reported: …"
  std::string not_reported(int64_t step) const;
};

struct RepeatOptions {
  int threads = 0;                   // 0: as the pipeline says
  std::vector<std::string> nodes{};  // run in addition to those of the ledger
  Tap tap{};
  std::function<void(int64_t step)> on_step{};
};

/// Repeats steps of a run on the host. Samples that fail now but did not in the run are replaced, without limit, and
/// listed. Opens the source: throws as Engine does.
class RepeatedRun {
 public:
  RepeatedRun(PastRun& past, RepeatOptions options);

  /// The ledgers of these steps. Throws RunError.
  std::map<int64_t, uint64_t> ledgers(int64_t first_step, int64_t last_step);
  /// As above, but with other places than in the run that begin with a substitute.
  std::map<int64_t, uint64_t> ledgers(int64_t first_step, int64_t last_step, const Replaced& replaced);
  /// Samples that failed in the steps repeated last.
  const std::vector<BadSample>& failed() const { return failed_; }
  /// The likeliest reason why a step's ledger differs now. Call it for the step repeated last.
  std::string reason(int64_t step) const;

  /// The differences of names and sizes of the data from the run's; empty: none.
  const std::string& changed_data() const { return changed_data_; }
  const CheckedPipeline& pipeline() const { return pipeline_; }  // of what is repeated
  const CheckedNode& source() const { return pipeline_.nodes[static_cast<size_t>(pipeline_.training_source)]; }
  const Engine& engine() const { return *engine_; }
  Grouping grouping() const { return engine_->plan().streams[0].grouping; }

 private:
  const PastRun& past_;
  RepeatOptions options_;
  CheckedPipeline pipeline_;
  Replaced replaced_;  // the engine's, for the repetition under way
  std::map<int64_t, uint64_t> found_;
  std::vector<BadSample> failed_;
  std::string changed_data_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace flowrun::app
