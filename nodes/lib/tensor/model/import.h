// Converts other projects' names of weights of vision transformers to timm's names, which Flowrun uses.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/text/error.h"
#include "nodes/lib/tensor/model/vit.h"

namespace flowrun::model {

using NamedTensors = std::map<std::string, Tensor>;

/// A file of weights. `notes` holds the values that Flowrun writes beside them: "heads", "norm_eps", "quick_gelu", "rotary",
/// "lora_scale".
struct WeightsFile {
  NamedTensors tensors;
  std::map<std::string, double> notes;
};

/// The project whose names a file has. `automatic` detects it from the names.
///   timm         also Flowrun's own checkpoints, MAE's (decoder_* is left out), I-JEPA's and DINOv2's: they differ by
///                prefixes ("module.", "backbone."), register_tokens, mask_token, block chunks. Of a training checkpoint with
///                student and teacher (DINOv2's) the teacher is taken, without its heads
///   huggingface  ViT, ViT-MAE (its decoder is left out), DINOv2, DINOv2 with registers and I-JEPA of transformers: query, key and value apart
enum class Layout { automatic, timm, huggingface };

/// The contents of a file, in timm's names, with LoRA's additions merged into the weights.
struct Imported {
  NamedTensors tensors;
  std::vector<std::string> ignored;  ///< known not to belong to an encoder: decoder, heads, mask token
  std::map<std::string, double> notes;
};
Imported to_timm_names(const WeightsFile& file, Layout layout);

/// The architecture that the tensors have. Throws std::invalid_argument that names a missing or odd tensor, and when the
/// number of heads is neither given (> 0), nor noted in the file, nor that of a published ViT of this width (heads 64
/// wide; 80 for ViT-H and 88 for ViT-g).
VitConfig infer_config(const Imported& imported, int64_t heads);

/// The result of importing a file.
struct ImportReport {
  int64_t matched = 0, parameters = 0;  ///< of the model
  std::vector<std::string> missing;     ///< of the model, not in the file
  std::vector<std::string> unused;      ///< of the file, not in the model
  std::vector<std::string> notes;       ///< "positions resampled from 37x37 to 16x16"
  bool complete() const { return missing.empty() && unused.empty(); }
  /// "matched 150 of 150 parameters; 4 tensors of the file are not part of an encoder"
  std::string text() const;
};

/// Fills the model. Positions are resampled (bicubic) when the grid differs; positions of class token and
/// registers are added to those tokens, which is the same. A table that is the sine-cosine one needs no parameter.
/// Throws std::invalid_argument for a tensor of another shape.
ImportReport load_weights(Vit& vit, const Imported& imported);

/// Whether the patch positions among the tensors are the fixed sine-cosine table.
bool has_sincos_positions(const NamedTensors& tensors, const VitConfig& config);

/// The file of weights isn't there.
struct MissingWeights : NodeError {
  using NodeError::NodeError;
};

/// Reads a safetensors file; half-precision becomes float32. While ShapesOnly lives, float32 tensors are views of the mapped file,
/// of which only the parts that are looked at are read. Throws MissingWeights and io::Error.
WeightsFile read_weights(const std::string& path);

}  // namespace flowrun::model
