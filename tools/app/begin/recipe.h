// The numbers of a pipeline for given data and a given machine, each with the rule that it follows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/app/begin/data_facts.h"

namespace flowrun::app {

/// The machine that a pipeline is for.
struct Machine {
  std::string name;  // "2 cores", "NVIDIA H100 SXM, 80 GB"
  bool gpu = false;
  int64_t gpus = 1;
  double gpu_memory = 0;  // bytes of one; 0: not known
  double operations = 0;  // a second, of all GPUs or cores together: assumed
};

/// Wishes of the user; 0 or empty: as the rules say.
struct Wishes {
  int64_t size = 0, patch = 0;  // pixels
  std::string arch;             // ti, s, b or l
  double hours = 0;             // that training may take
  int64_t epochs = 0;
};

/// The cost of a picture in training.
struct Cost {
  double operations = 0;                         // forward and backward, all models
  double bytes_of_picture = 0, bytes_fixed = 0;  // memory of a step: of each picture of a group, and of the models
};

struct Recipe {
  bool gpu = false;  // it is for
  int64_t size = 0, patch = 0;
  std::string arch;  // of model.vit; empty: width, depth and heads
  int64_t width = 0, depth = 0, heads = 0;
  std::vector<int> blocks;  // predicted
  int64_t predictor_width = 0, predictor_depth = 0, predictor_heads = 0;
  int64_t training = 0;                     // pictures
  bool evaluates = false;                   // by classes, or by label maps
  bool segments = false;                    // by label maps
  double holdout = 0;                       // share of the data that is set aside; 0: they have a part of their own
  int64_t known = 0, unseen = 0, near = 0;  // pictures that evaluations read at most; k of kNN
  int64_t batch = 0, group = 0, epochs = 0, steps = 0;
  double lr = 0, decay = 0;
  int64_t memory_mib = 0, max_bad = 0;
  int64_t evaluate_every = 0, save_every = 0;  // epochs
  double images_per_second = 0;                // expected

  std::map<std::string, std::string> why;  // the rule behind a number, by its name here
  std::vector<std::string> remarks;        // what a user should know before the run
};

/// The parts of data besides what is trained on.
struct OtherParts {
  std::optional<uint64_t> held_out;  // pictures of a second part
  bool maps = false;                 // each picture has a label map
};

/// "25 minutes", "3.5 hours".
std::string rough_duration(double seconds);

/// `facts` are those of the data to train on. `cost` is asked once, with a recipe whose models and sizes are chosen. Throws PipelineError on data
/// that are too few, and on wishes that don't fit.
Recipe make_recipe(const DataFacts& facts, const OtherParts& parts, const Machine& machine, const Wishes& wishes,
                   const std::function<Cost(const Recipe&)>& cost);

}  // namespace flowrun::app
