// Vectors of chosen places of an image: one layer of attention over its patches.
#pragma once

#include "nodes/lib/tensor/model/module.h"

namespace flowrun::model {

struct AttentionPoolConfig {
  int64_t width = 384, heads = 6;
  double norm_eps = 1e-6;
};

/// The patches x of an image give queries, keys and values; the query of a place is the weighted sum of those of some patches p:
///
///   norm(proj(attention(sum_p w_p q_p; k, v)) + sum_p w_p x_p)
///
/// (UDI's patch branch, github.com/ISL-CV/udi, MaskedAttention.) qkv and proj with biases. Thread rule as for Vit.
class AttentionPool final : public Module {
 public:
  static constexpr const char* kind = "attention_pool";

  /// Throws std::invalid_argument unless heads divide the width.
  explicit AttentionPool(const AttentionPoolConfig& config);

  const AttentionPoolConfig& config() const { return config_; }
  /// [B, N, D], places [B, S, P] int64 and their weights [B, S, P], or undefined where each place is one patch -> [B, S, D].
  Tensor apply(const Tensor& patch_BND, const Tensor& places_BSP, const Tensor& weights_BSP) const;
  /// Of `rows` places of an image with `patches`.
  Cost cost_of(double patches, double rows) const;

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<AttentionPool>(config_); }

  AttentionPoolConfig config_;
  size_t qkv_, proj_, norm_;
};

}  // namespace flowrun::model
