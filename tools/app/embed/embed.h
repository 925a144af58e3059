// Features of pictures from a trained encoder, in a file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/app/run/caller.h"

namespace flowrun::app {

struct EmbedArgs {
  std::string weights, data, out;
  std::string model;            // of the run; empty: that of its evaluations, else the teacher, the student, the only encoder
  int64_t step = 0;             // of the run's checkpoints; 0: the newest
  bool best = false;            // the checkpoint that an evaluation found best
  std::string what;             // "cls", "mean", "cls_mean" or "tokens"; empty: as the run's evaluations have it, else "mean"
  std::vector<int64_t> blocks;  // in place of the final norm
  int64_t size = 0, batch = 0;  // 0: as the run's evaluations have it, else what the encoder takes, 64
  std::string as;               // "folder", "shards" or "parquet": how the data are read; empty: told from what lies there
  std::string folder;           // of the pictures that a list names; empty: the list's
  bool half = false, no_labels = false, again = false;
  std::string projector;  // folder; empty: none
  std::vector<std::string> sets;
  int threads = 0;
  bool quiet = false, print = false, json = false;
  bool trust = false;  // plug-ins that the run's folder names are loaded
};

/// What was written. JSON: "out", "rows", "shape", "from", "bad" and the names of the files beside, or "pipeline" with EmbedArgs::print.
struct Embedded {
  int status = 0;  // exit_stopped: on request; the same call goes on
  nlohmann::ordered_json facts;
  std::vector<std::string> lines;  // the same for people
};

/// Writes the features. With several ranks every one calls it; the lines are rank 0's. Throws PipelineError and RunError.
Embedded embed(const EmbedArgs& args, Caller& caller);

}  // namespace flowrun::app
