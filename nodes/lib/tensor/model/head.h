// The face of models behind an encoder that take one vector of each image.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

class Head : public Module {
 public:
  static constexpr const char* kind = "head";

  using Module::Module;

  virtual int64_t in_width() const = 0;
  virtual int64_t out_width() const = 0;
  std::optional<int64_t> vector_width() const override { return out_width(); }
  /// [B, in_width] -> [B, out_width]; batch norms by their running statistics.
  virtual Tensor apply(const Tensor& x_BD) const = 0;
  /// The same, for heads that have batch norms.
  virtual Tensor apply(const Tensor& x_BD, const NormPass&) const { return apply(x_BD); }
};

}  // namespace flowrun::model
