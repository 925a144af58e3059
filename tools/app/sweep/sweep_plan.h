// The plan of a sweep: its runs, baseline and deciding metric, from a sweep file, or from pipelines given on the command line.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/app/load/load.h"

namespace flowrun::app {

struct SweepArgs {
  std::vector<std::string> files;      // one sweep file; or pipelines, and folders of them; shipped:FILE.json names one that comes with the program
  std::vector<std::string> sets;       // for every run, as --set
  std::string seeds;                   // "3" (0, 1, 2) or "0,1,5"; empty: the file's
  std::string decide, goal, baseline;  // as in the file; empty: the file's
  double difference = 0;               // as in the file; 0: the file's
  std::string out;                     // folder; empty: runs/NAME
  int threads = 0;
  bool quiet = false, json = false;
  bool share = false;
  bool trust = false;                 // as PipelineArgs::trust, for all variants
  int64_t memory_mib = 0;             // memory for runs side by side; 0: the free memory
  bool report = false;                // runs nothing
  double minutes = 0;                 // after which no run begins; 0: no limit
  std::string cells;                  // file of finished runs; empty: none
  std::optional<int64_t> only;        // the one run of this number
  std::string slurm;                  // file for an array job that runs all; empty: they run here
  int64_t at_once = 0;                // of the array job's tasks; 0: no limit
  std::vector<std::string> together;  // the runs that this process runs side by side; set by `flowrun sweep` itself
};

/// A run of a sweep.
struct Variant {
  std::string name;  // its folder: the variant's, and with seeds VARIANT-seedN
  PipelineArgs pipeline{};
  std::string variant{};          // that it is one of; the same for all seeds
  std::optional<int64_t> seed{};  // none: the pipeline's own
};

struct SweepPlan {
  std::string path;                   // of the sweep file; empty: pipelines were given
  std::string name;                   // of the folder in runs/
  std::vector<Variant> runs;          // in the order in which they run: all variants with the first seed, then with the next
  std::vector<std::string> variants;  // as in the file
  std::vector<int64_t> seeds;         // empty: each pipeline's own
  std::set<std::string> changed;      // paths whose values differ among variants
  std::string baseline;               // that the others are compared with; one of `variants`
  std::string decide;                 // "NODE.METRIC" or "loss"; empty: check_variants() chooses
  bool chosen = false;                // check_variants() has chosen
  std::optional<bool> higher_better;  // none: by the metric's name
  double difference = 0;              // the smallest that matters; 0: not said
};

/// Reads the sweep that args.files and the options describe. A file with base, variants, grid, zip or seeds is a sweep file; others are pipelines;
/// a folder stands for its pipelines by name, without those that begin with _ and without sweep files. Throws PipelineError with all faults.
SweepPlan plan_sweep(const SweepArgs& args);

/// Checks the pipeline of every variant, and that an evaluation of one of them reports the metric that decides; chooses it where plan.decide is
/// empty: the accuracy of the first evaluation, or another share of 1 (miou), or the loss. Throws PipelineError.
void check_variants(SweepPlan& plan);

/// Whether more is better: not of a loss, an error, a divergence or a perplexity, by the metric's last word.
bool is_higher_better(const SweepPlan& plan, const std::string& metric);

}  // namespace flowrun::app
