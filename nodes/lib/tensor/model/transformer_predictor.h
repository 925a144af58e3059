// Bootleg's predictor: from the student's visible tokens to the hidden layers of the teacher at the target patches.
#pragma once

#include <optional>
#include <vector>

#include "nodes/lib/tensor/model/predictor.h"
#include "nodes/lib/tensor/model/time_embedding.h"
#include "nodes/lib/tensor/model/transformer.h"

namespace flowrun::model {

struct TransformerPredictorConfig {
  int64_t grid = 14;            ///< patches per side
  int64_t encoder_width = 384;  ///< D
  int64_t width = 192;          ///< P; D / 2 in the paper
  int64_t depth = 10;
  int64_t heads = 16;
  int64_t registers = 4;
  int64_t out_width = 1536;  ///< O: hidden blocks that are predicted, times D
  double mlp_ratio = 4;
  double norm_eps = 1e-6;
  bool rotary = false;        ///< rotary positions in place of the sine-cosine table
  bool joint = false;         ///< all regions in one sequence, in place of one sequence for each
  bool time = false;          ///< norms adapt to the time of the noise in an image, and the last one's output is scaled and shifted by it
  int64_t visible_width = 0;  ///< of predictions at visible patches, by a layer of their own; needs `joint`. 0: none
};

/// Predicts each region separately, from registers, class token, visible patches and one mask token per target patch
/// (appendix of the Bootleg paper): regions are separate entries of the batch and never see each other. `joint` puts
/// the mask tokens of all regions into one sequence, those that two regions share twice.
///
/// The class token carries no position, nor do the registers. Thread rule as for Vit.
class TransformerPredictor final : public Predictor {
 public:
  /// Throws std::invalid_argument, naming both numbers, unless the heads divide the width, and for a visible_width without `joint`.
  explicit TransformerPredictor(TransformerPredictorConfig config);

  const TransformerPredictorConfig& config() const { return config_; }
  int64_t in_width() const override { return config_.encoder_width; }
  int64_t out_width() const override { return config_.out_width; }
  int64_t visible_width() const override { return config_.visible_width; }
  bool takes_time() const override { return config_.time; }
  int64_t grid() const override { return config_.grid; }
  /// The table; undefined with rotary positions.
  const Tensor& positions_NP() const { return positions_NP_; }
  void to(at::Device device, at::ScalarType dtype) override;
  std::optional<Cost> cost(const Pass& pass) const override;
  Cost visible_cost(const Pass& pass) const override;

  /// cls_B1D may be undefined (no class token); patch_BKD after the encoder's final norm; visible_BK and targets_BRM
  /// int64. Returns [B, R, M, O], image by image; O holds the hidden blocks in increasing order, D values each.
  Tensor predict(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK, const Tensor& targets_BRM) const {
    return predict({.cls_B1D = cls_B1D, .patch_BKD = patch_BKD, .visible_BK = visible_BK, .targets_BRM = targets_BRM});
  }
  Tensor predict(const PredictorInputs& in) const override;

 private:
  std::unique_ptr<Module> fresh() const override;
  Tensor context(const Tensor& cls_B1D, const Tensor& patch_BKD, const Tensor& visible_BK) const;
  Tensor normed(kernels::Stream& stream, const Tensor& condition) const;
  void place_tables(at::Device device, at::ScalarType dtype);
  /// x with its rows of the table; x as it is with rotary positions.
  Tensor placed(const Tensor& x, const Tensor& index) const;
  /// Rotary positions of the sequences [B R, S]: `before` tokens without a place, visible patches, targets. Nothing without them.
  std::optional<Rotation> rotation_of(int64_t before, const Tensor& visible_BK, const Tensor& targets_BRM) const;

  TransformerPredictorConfig config_;
  std::optional<size_t> register_;
  size_t mask_ = 0, embed_ = 0, norm_ = 0, proj_ = 0, visible_proj_ = 0, final_ = 0;
  std::optional<Blocks> blocks_;
  std::optional<TimeEmbedding> time_;
  Tensor positions_NP_;
  Tensor places_N2_, frequencies_2E_;  // rotary
};

}  // namespace flowrun::model
