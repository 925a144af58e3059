// One vector of each image from its tokens.
#pragma once

#include <ATen/ops/cat.h>
#include <string>

#include "graph/contract/params.h"
#include "nodes/lib/tensor/model/encoder.h"

namespace flowrun::model {

/// The parameter "pool" of nodes that make vectors of images.
inline const Choices& pool_choices() {
  static const Choices choices = {"mean", "cls", "cls_mean"};
  return choices;
}
inline constexpr const char* pool_brief = "mean: of all patches. cls: the class token. cls_mean: both, the class token first.";

/// [B, D], or [B, 2 D] of cls_mean; float32.
inline Tensor pooled(const Tokens& tokens, const std::string& pool) {
  const auto cls = [&] { return tokens.cls_B1D.select(1, 0).to(at::kFloat); };
  const auto mean = [&] { return tokens.patch.to(at::kFloat).mean(1); };
  return pool == "cls" ? cls() : pool == "mean" ? mean() : at::cat({cls(), mean()}, 1);
}

/// The tokens that pooled() reads.
inline Read tokens_of(const std::string& pool) { return pool == "cls" ? Read::cls : pool == "mean" ? Read::patches : Read::all; }

inline double pooled_width(const Encoder& encoder, const std::string& pool) {
  return static_cast<double>(encoder.shape().width) * (pool == "cls_mean" ? 2 : 1);
}

}  // namespace flowrun::model
