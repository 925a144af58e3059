// A sweep: variants of a pipeline, one after the other or side by side.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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
  std::vector<std::string> together;  // the variants that this process runs side by side; set by `sweep` itself
};

struct Variant {
  std::string name;
  PipelineArgs pipeline;
};

/// The arguments for running `variant` into `out`: continues from a checkpoint; a run that was interrupted before its
/// first checkpoint is removed, under its lock. Throws RunError if the folder holds anything else.
RunArgs variant_args(const Variant& variant, const std::filesystem::path& out, const SweepArgs& args);

/// Runs the variants of a sweep file one after the other, or side by side where they share their input.
int sweep(const SweepArgs& args);

}  // namespace flowrun::app
