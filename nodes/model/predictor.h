// The predictor: from the student's visible tokens to the hidden layers of the teacher at the target patches.
#pragma once

#include <optional>
#include <vector>

#include "nodes/model/parameters.h"
#include "nodes/model/transformer.h"

namespace flowrun::model {

struct PredictorConfig {
  int64_t grid = 14;            ///< patches per side
  int64_t encoder_width = 384;  ///< D
  int64_t width = 192;          ///< P; D / 2 in the paper
  int64_t depth = 10;
  int64_t heads = 16;
  int64_t registers = 4;
  int64_t out_width = 1536;  ///< O: hidden blocks that are predicted, times D
  double mlp_ratio = 4;
  double norm_eps = 1e-6;
  bool joint = false;  ///< all regions in one sequence, in place of one sequence for each
};

/// The inputs of every kind of predictor.
struct PredictorInputs {
  Tensor cls_B1D;                ///< undefined without a class token
  Tensor patch_BKD;              ///< visible patches after the encoder's final norm
  std::vector<Tensor> maps_BSD;  ///< raw output of each block of the encoder, all its tokens; empty unless asked for
  Tensor visible_BK;             ///< int64
  Tensor targets_BRM;            ///< int64
  uint64_t noise = 0;            ///< address of this pass, for predictors that draw
};

/// Predicts each region separately, from registers, class token, visible patches and one mask token per target patch
/// (appendix of the Bootleg paper): regions are separate entries of the batch and never see each other. `joint` puts
/// the mask tokens of all regions into one sequence, those that two regions share twice.
///
/// The class token carries no position, nor do the registers. Thread rule as for Vit.
class Predictor {
 public:
  /// Throws std::invalid_argument, naming both numbers, unless the heads divide the width.
  explicit Predictor(PredictorConfig config);

  const PredictorConfig& config() const { return config_; }
  Parameters& parameters() { return parameters_; }
  const Parameters& parameters() const { return parameters_; }
  const Tensor& positions_NP() const { return positions_NP_; }
  void to(at::Device device, at::ScalarType dtype);

  /// cls_B1D may be undefined (no class token); patch_BKD after the encoder's final norm; visible_BK and targets_BRM
  /// int64. Returns [B, R, M, O], image by image; O holds the hidden blocks in increasing order, D values each.
  Tensor predict(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK, const Tensor& targets_BRM) const;
  Tensor predict(const PredictorInputs& in) const { return predict(in.cls_B1D, in.patch_BKD, in.visible_BK, in.targets_BRM); }

 private:
  Tensor context(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK) const;

  PredictorConfig config_;
  Parameters parameters_{"predictor"};
  std::optional<size_t> register_;
  size_t mask_ = 0, embed_ = 0, norm_ = 0, proj_ = 0;
  std::optional<Blocks> blocks_;
  Tensor positions_NP_;
};

}  // namespace flowrun::model
