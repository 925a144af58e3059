// The first pipeline for a set of pictures.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/app/begin/recipe.h"
#include "tools/app/say.h"

namespace flowrun::app {

struct InitArgs {
  std::string data;  // a folder of pictures, a list, shards or Parquet files; or a folder that holds train and val
  std::string as;    // "folder", "shards" or "parquet"; empty: told from what lies there
  std::string out;   // the pipeline file; empty: NAME.json, of the folder's name
  bool overwrite = false;
  std::string device;  // a kind of run.device, or one that flowrun plan knows; empty: this machine's best
  int64_t gpus = 1;
  Wishes wishes;
  uint64_t pictures = 256;  // that are looked at
  bool vscode = false;      // writes .vscode/settings.json and the schema beside the file, so that the editor completes and checks
  bool json = false;
};

/// The file that was written. `facts`: the same as JSON.
struct Begun {
  std::string file;
  std::vector<std::string> lines;  // for people: what the data are, what was chosen, what to do next
  nlohmann::ordered_json facts;
};

/// Looks at the data, chooses, writes and checks the file. Warnings go to `say`. Throws PipelineError.
Begun init(const InitArgs& args, const Say& say);

}  // namespace flowrun::app
