// Masks of places and of channels that two networks' maps call for together: ACAM-KD's.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

struct MapMasksConfig {
  int64_t channels = 256;  ///< of both maps
  int64_t reduced = 64;    ///< width of queries, keys and values
  int64_t masks = 6;       ///< of places, and as many of channels
};

/// Parameters query, key and value [reduced, channels], space [masks, reduced] and channel [masks channels, reduced], each with weight and
/// bias. The student's places ask, the teacher's answer: fused = softmax(q k' / sqrt(reduced)) v. A mask of places is the sigmoid of a linear
/// layer of each fused place; one of channels, of their mean.
class MapMasks final : public Module {
 public:
  static constexpr const char* kind = "map masks";

  /// Throws std::invalid_argument for a size below 1.
  explicit MapMasks(const MapMasksConfig& config);

  const MapMasksConfig& config() const { return config_; }

  struct Masks {
    Tensor space_BMP, channel_BMC;  ///< in 0 to 1
  };
  /// Of maps [B, P, channels], places as rows; float32, or float64 if they are. Gradients reach both maps.
  Masks of(const Tensor& student_BPC, const Tensor& teacher_BPC) const;

 private:
  size_t add(const std::string& name, int64_t out, int64_t in);
  Tensor linear(size_t at, const Tensor& x) const;
  std::unique_ptr<Module> fresh() const override { return std::make_unique<MapMasks>(config_); }

  MapMasksConfig config_;
  size_t query_, key_, value_, space_, channel_;
};

}  // namespace flowrun::model
