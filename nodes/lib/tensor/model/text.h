// The text tower: a transformer over pieces of texts.
#pragma once

#include <optional>
#include <string>

#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/transformer.h"

namespace flowrun::model {

struct TextConfig {
  int64_t vocabulary = 49408;  ///< numbers that texts consist of
  int64_t context = 77;        ///< longest text
  int64_t width = 512, depth = 12, heads = 8;
  double mlp_ratio = 4, norm_eps = 1e-5;
  bool quick_gelu = false;  ///< as BlocksConfig's
  bool causal = true;       ///< a token sees itself and those before it; else all tokens of its text
  bool scaled_init = true;  ///< CLIP's initial weights; else normal 0.02
  bool recompute = false;   ///< blocks run again in the backward pass
};

enum class TextPool { end, start, mean };

/// Embeddings of pieces and of their places, the ViT's blocks and a norm: CLIP's text transformer (Radford et al. 2021, section 2.4), whose code
/// has the quick GELU. If not causal, pieces see all of their text, as in BERT, whose norms stand behind the additions. Thread rule as for Vit.
class Text final : public Module {
 public:
  static constexpr const char* kind = "text";

  /// Throws std::invalid_argument as Blocks does, and for a vocabulary or a context below 1.
  explicit Text(TextConfig config);

  const TextConfig& config() const { return config_; }
  int64_t width() const { return config_.width; }
  std::optional<int64_t> vector_width() const override { return config_.width; }
  std::optional<Cost> cost(const Pass& pass) const override;

  /// ids_BT int64 in [0, vocabulary), T up to the context; end_B int64: where the end of each text stands; what follows it is not seen.
  /// [B, D] after the final norm: at the end, at the start, or the mean of both and all between. float32, or float64 if the parameters are.
  /// Throws std::invalid_argument for longer texts. Numbers outside of the vocabulary are the caller's fault: on a GPU nobody checks.
  Tensor encode(const Tensor& ids_BT, const Tensor& end_B, TextPool pool) const;

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Text>(config_); }

  TextConfig config_;
  size_t embedding_ = 0, positions_ = 0, norm_ = 0;
  std::optional<Blocks> blocks_;
};

}  // namespace flowrun::model
