// A sweep: variants of a pipeline, one after the other or side by side, and a table of their results.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/app/run/caller.h"
#include "tools/app/run/run.h"

namespace flowrun::app {

struct SweepArgs {
  std::string file;
  std::string out;  // folder; empty: runs/NAME
  int threads = 0;
  bool quiet = false, json = false;
  bool share = false;
  bool trust = false;                 // as PipelineArgs::trust, for all variants
  int64_t memory_mib = 0;             // memory for runs side by side; 0: the free memory
  std::vector<std::string> together;  // the variants that this process runs side by side; set by `flowrun sweep` itself
};

struct Variant {
  std::string name;
  PipelineArgs pipeline;
};

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
  nlohmann::ordered_json rows;  // by variant: what it found
  std::string table;            // of the same; Markdown
};

/// Runs the variants of a sweep file that are not done, one after the other, or side by side where they share their input.
Swept sweep(const SweepArgs& args, Caller& caller, VariantRunner& runner);

/// Runs those of args.together side by side, in this process. The exit status.
int sweep_together(const SweepArgs& args, Caller& caller);

}  // namespace flowrun::app
