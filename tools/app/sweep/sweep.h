// Runs a sweep: variants of a pipeline, each over several seeds, one after the other or side by side. The result is a table and an answer.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/app/run/caller.h"
#include "tools/app/run/run.h"
#include "tools/app/sweep/sweep_plan.h"

namespace flowrun::app {

/// The arguments for running `variant` into `out`: continues from a checkpoint; a run that was interrupted before its
/// first checkpoint is removed, under its lock. Throws RunError if the folder holds anything else.
RunArgs variant_args(const Variant& variant, const std::filesystem::path& out, const SweepArgs& args);

/// Runs variants in a process of their own, whose memory is free again when it ends.
class VariantRunner {
 public:
  VariantRunner() = default;
  virtual ~VariantRunner() = default;
  VariantRunner(const VariantRunner&) = delete;
  VariantRunner& operator=(const VariantRunner&) = delete;

  /// Called before the first.
  virtual void begin() = 0;
  /// Whether the sweep was asked to stop.
  virtual bool stopped() const = 0;
  /// One variant, or several side by side, each into its folder in `out`. The exit status.
  virtual int run(const std::vector<Variant>& variants, const std::filesystem::path& out) = 0;
};

struct Swept {
  int status;
  nlohmann::ordered_json found;  // {"runs": […], and the answer}, as in sweep.json
  std::string table;             // of the same; Markdown
};

/// Runs what is not done, one after the other, or side by side where runs share their input; with args.only one run, with args.report none.
/// Throws PipelineError and RunError before anything runs.
Swept sweep(const SweepArgs& args, Caller& caller, VariantRunner& runner);

/// Runs those of args.together side by side, in this process. The exit status.
int sweep_together(const SweepArgs& args, Caller& caller);

/// Writes the script args.slurm, an array job of one task for each run, and says how to submit it and to make the table. `program`: flowrun.
void write_slurm(const SweepArgs& args, const std::string& program, Caller& caller);

/// The words after `flowrun` that describe the same sweep.
std::vector<std::string> sweep_words(const SweepArgs& args);

}  // namespace flowrun::app
