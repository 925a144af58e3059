// The face of models that predict hidden patches from what the encoder made of visible ones.
#pragma once

#include <vector>

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

/// The inputs of every kind of predictor.
struct PredictorInputs {
  Tensor cls_B1D;                ///< undefined without a class token
  Tensor registers;              ///< [B, registers, D]; undefined without registers
  Tensor patch_BKD;              ///< visible patches after the encoder's final norm
  std::vector<Tensor> maps_BSD;  ///< raw output of each block of the encoder, all its tokens; empty unless asked for
  Tensor visible_BK;             ///< int64
  Tensor targets_BRM;            ///< int64
  uint64_t noise = 0;            ///< address of this pass, for predictors that draw
  Tensor time_B;                 ///< of the noise in each image, [B] int64; undefined: there is no noise
  /// Destination of predictions at the visible patches, [B, 1, K, visible_width()]; null: not computed.
  Tensor* visible_B1KO = nullptr;
};

class Predictor : public Module {
 public:
  static constexpr const char* kind = "predictor";

  using Module::Module;

  /// Blocks of the teacher that it predicts, increasing; empty when it predicts something else.
  std::vector<int64_t> blocks;

  virtual int64_t in_width() const = 0;
  virtual int64_t out_width() const = 0;
  /// Patches of a side.
  virtual int64_t grid() const = 0;
  /// [B, R, M, out_width], image by image.
  virtual Tensor predict(const PredictorInputs& in) const = 0;
  /// Of predictions at visible patches; 0: it makes none.
  virtual int64_t visible_width() const { return 0; }
  /// The cost that predictions at visible patches add to a pass.
  virtual Cost visible_cost(const Pass&) const { return {}; }
  /// Whether it is told the time of the noise in an image.
  virtual bool takes_time() const { return false; }
  /// Whether predict() depends on its noise.
  virtual bool draws() const { return false; }
};

}  // namespace flowrun::model
