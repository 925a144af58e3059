// Classifiers on top of a frozen encoder, one for each pair of learning rate and decay, as one list of parameters.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "nodes/lib/tensor/model/module.h"
#include "nodes/lib/tensor/model/transformer.h"

namespace flowrun::model {

/// The kind of a head.
///   linear           batch norm without affine, then a linear layer                                    x [B, D]
///   attentive        V-JEPA's attentive classifier of depth 1: a learned query attends to all tokens   x [B, S, D]
///   segment_linear   a linear layer on each patch token                                                x [B, N, D]
///   segment_block    one transformer block over the patch tokens before that layer                     x [B, N, D]
enum class ProbeKind { linear, attentive, segment_linear, segment_block };

/// The label of pixels without a class.
inline constexpr int64_t kIgnored = 255;

/// The names above; throws std::invalid_argument that lists them.
ProbeKind probe_kind(std::string_view name);

struct ProbeConfig {
  ProbeKind kind = ProbeKind::linear;
  int64_t classes = 0;
  int64_t width = 0;                ///< D of the input
  int64_t attention_heads = 1;      ///< of attentive and segment_block
  double mlp_ratio = 4;             ///< of attentive and segment_block
  double norm_eps = 1e-6;           ///< of layer norms
  std::vector<double> lrs, decays;  ///< head h has lrs[h / decays.size()] and decays[h % decays.size()]
};

/// All heads have the same initial weights, so they differ only by learning rate and decay. Thread rule as for Vit,
/// except for move_statistics().
class Probe final : public Module {
 public:
  static constexpr const char* kind = "probe";

  /// Throws std::invalid_argument if sizes don't fit together.
  explicit Probe(ProbeConfig config);

  const ProbeConfig& config() const { return config_; }
  bool segments() const { return config_.kind == ProbeKind::segment_linear || config_.kind == ProbeKind::segment_block; }

  int64_t heads() const { return static_cast<int64_t>(config_.lrs.size() * config_.decays.size()); }
  double lr(int64_t head) const { return config_.lrs[static_cast<size_t>(head) / config_.decays.size()]; }
  double decay(int64_t head) const { return config_.decays[static_cast<size_t>(head) % config_.decays.size()]; }
  /// Indices into parameters() of one head.
  std::vector<size_t> indices(int64_t head) const;

  /// linear: weights normal 0.01 (MAE). Others: normal 0.02, with fc2 of attentive over sqrt(2) (V-JEPA). Biases 0.
  void initialise(uint64_t seed);

  /// Batch norm of features for a linear head, by the running statistics. eps 1e-6.
  Tensor normalise(const Tensor& x_BD) const;
  /// The same by the batch's own statistics: mean and (unbiased, as PyTorch's) variance [2, D] are for
  /// move_statistics().
  struct Normalised {
    Tensor x_BD, statistics_2D;
  };
  Normalised normalise_by_itself(const Tensor& x_BD) const;
  /// Moves the running statistics to those of a batch, with momentum 0.1.
  void move_statistics(const Tensor& statistics_2D);
  /// Running mean and variance [D]; only for linear, otherwise undefined.
  Tensor running_mean() const { return buffers_.size() > 0 ? buffers_[0] : Tensor(); }
  Tensor running_variance() const { return buffers_.size() > 0 ? buffers_[1] : Tensor(); }

  /// Scores of one head: [B, classes], of segmenting heads [B, classes, g, g] for g x g patches. A linear head needs
  /// normalised features.
  Tensor scores(int64_t head, const Tensor& x) const;

  /// Mean cross-entropy in at least float32. labels [B]; of segmenting heads label maps [B, H, W], to whose size the
  /// scores are resized (bilinear, corners not aligned), and whose pixels of kIgnored don't count.
  Tensor loss(int64_t head, const Tensor& x, const Tensor& labels) const;

  /// The class of the highest score: [B], or [B, height, width]. int64.
  Tensor named(int64_t head, const Tensor& x, int64_t height = 0, int64_t width = 0) const;

 private:
  std::unique_ptr<Module> fresh() const override { return std::make_unique<Probe>(config_); }
  void add_attentive(const std::string& prefix);
  void add_linear(const std::string& prefix);
  void check_width(const Tensor& x) const;
  Tensor attend(size_t first, const Tensor& x_BSD) const;

  ProbeConfig config_;
  std::optional<Blocks> blocks_;  ///< block h belongs to head h
  size_t first_ = 0;              ///< of head 0, after the blocks
  size_t per_head_ = 0;
};

}  // namespace flowrun::model
