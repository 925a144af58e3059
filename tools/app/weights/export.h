// An encoder's weights for timm.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::model {
class Encoder;
}

namespace flowrun::app {

struct ExportArgs {
  std::string from, to;
  std::string model;  // of a checkpoint's; empty: the teacher, else the student
  bool best = false;  // of a run: the checkpoint that an evaluation found best, in place of the newest
  int64_t heads = 0;  // 0: from the width
  bool allow_partial = false;
  bool json = false;
  std::string check;  // write_check()'s file; empty: none
};

struct Exported {
  std::string from;   // file of weights
  std::string found;  // in it
  size_t tensors;
  nlohmann::ordered_json timm;                                          // arguments of its VisionTransformer
  std::string more;                                                     // further arguments as Python writes them, each behind a comma
  nlohmann::ordered_json timm_more = nlohmann::ordered_json::object();  // those of them that JSON can hold
  std::string norm_eps;                                                 // of norms, where it is not timm's default
};

/// The file of weights that `args` mean: `from` itself, or a model of a checkpoint, or of a run's newest checkpoint. Throws RunError.
std::string weights_file(const ExportArgs& args);

/// Writes a safetensors file with "images" [3, 3, side, side], normalised, and the encoder's "features" [3, width] of them.
void write_check(const model::Encoder& encoder, int64_t side, const std::string& file);

/// Writes the encoder of a file of weights in any known layout, a checkpoint or a run directory for timm.
Exported export_weights(const ExportArgs& args);

}  // namespace flowrun::app
