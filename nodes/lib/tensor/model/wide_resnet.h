// Wide residual networks (Zagoruyko and Komodakis 2016), with the names and layout of RepDistiller's code.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/lib/tensor/model/batch_norm.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/staged.h"

namespace flowrun::model {

struct WideResNetConfig {
  int64_t depth = 16;       ///< 6n + 4: the stem and three groups of n blocks
  int64_t width = 32;       ///< channels of the first group, 16 times the widening factor; each next one has twice as many
  int64_t stem_width = 16;  ///< channels of the stem
  int64_t image = 32;       ///< usual side of the input, pixels; for sizes that are told before a run
};

/// Norm and ReLU stand before each convolution of a block, and behind the last block. Takes pictures of any size. Tokens::patch are the places behind
/// that last ReLU, row by row, so their mean is the global average pooling. Stages, and hidden(), are what the stem and the groups add up to, before
/// the next norm: the features that RepDistiller compares. Thread rule as for ResNet.
class WideResNet final : public Encoder, public Staged {
 public:
  /// Throws std::invalid_argument for another depth and without width.
  explicit WideResNet(WideResNetConfig config);

  /// Depth counts groups; the grid is that of a picture of the usual side.
  EncoderShape shape() const override;
  std::vector<int64_t> sides() const override { return {}; }
  std::optional<Cost> cost(const Pass& pass) const override;

  /// Throws NodeError if only some patches are to be seen.
  Tokens encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const override;
  std::vector<StageShape> stages(double side) const override;
  Tokens encode_stages(const Tensor& images_BCHW, const EncodeOptions& options, const StageRequest& request,
                       std::vector<Tensor>& maps_BCHW) const override;
  /// The maps behind groups of blocks, from 1, with running statistics: [B, places, channels of the group] each. `norm_last` takes that of the last
  /// group through the norm and ReLU behind it. Taps other than output throw NodeError.
  std::vector<Tensor> hidden(const Tensor& images_BCHW, const std::vector<int64_t>& groups, Tap tap, bool norm_last) const override;
  bool takes_patches() const override { return false; }
  bool drops() const override { return false; }
  Tensor draw_drop_path(Rng, int64_t) const override { return {}; }
  BatchNorms* norms() override { return &norms_; }
  bool leaves_out(std::string_view name) const override { return name.starts_with("fc."); }

 private:
  struct Block {
    size_t norm1, convolution1, norm2, convolution2;
    std::optional<size_t> shortcut;  // of the activated input
    int64_t stride;
  };
  static constexpr int64_t groups_ = 3;

  std::unique_ptr<Module> fresh() const override { return std::make_unique<WideResNet>(config_); }
  int64_t channels(int64_t group) const { return config_.width << group; }
  int64_t each() const { return (config_.depth - 4) / 6; }
  Block add_block(const std::string& name, int64_t in, int64_t out, int64_t stride);
  /// Maps that a pass through the network leaves.
  struct Maps {
    std::vector<Tensor> raw;     // the stem's, then that of each group
    std::vector<Tensor> normed;  // the same behind the norm that comes next; none of the stem, nor of the last group that ran
  };
  Tensor convolved(size_t weight, const Tensor& x, int64_t stride = 1) const;
  Tensor activated(size_t norm, const Tensor& x, const NormPass& pass) const;
  /// `normed` is x behind the block's first norm.
  Tensor run(const Block& block, const Tensor& x, const Tensor& normed, const NormPass& pass) const;
  /// The passes end behind group `last`.
  Maps maps(const Tensor& images_BCHW, const NormPass& pass, int64_t last = groups_) const;

  WideResNetConfig config_;
  BatchNorms norms_{parameters_, buffers_};
  size_t stem_ = 0, last_norm_ = 0;
  std::vector<Block> blocks_;
};

}  // namespace flowrun::model
