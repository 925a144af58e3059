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
  /// [B, in_width] -> [B, out_width].
  virtual Tensor apply(const Tensor& x_BD) const = 0;
};

}  // namespace flowrun::model
