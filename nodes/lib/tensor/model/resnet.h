// Residual networks (He et al. 2016), with torchvision's names and layout.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "nodes/lib/tensor/model/batch_norm.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/staged.h"

namespace flowrun::model {

struct ResNetConfig {
  std::vector<int64_t> blocks = {3, 4, 6, 3};  ///< of each stage
  std::vector<int64_t> strides = {};           ///< of each stage; empty: 1, then 2
  int64_t width = 64;                          ///< channels of the first stage; each next one has twice as many
  int64_t stem_width = 0;                      ///< channels of the stem; 0: width
  bool bottleneck = true;                      ///< blocks of 1x1, 3x3, 1x1 with four times the channels behind; otherwise two 3x3
  bool small_stem = false;                     ///< 3x3 without stride or pooling, for pictures of about 32 pixels
  bool zero_last = false;                      ///< gains of each block's last norm start at 0
  int64_t image = 224;                         ///< usual side of the input, pixels; for sizes that are told before a run
  int64_t first = 1, last = 0;                 ///< the stages that there are, 1 the stem; last 0: all. A part has the names of the whole
};

/// Blocks, width and kind of ResNet-18, 34 or 50, or of the CIFAR nets of depth 6n + 2 (8, 14, 20, 32, 44, 56, 110). Throws
/// std::invalid_argument that lists them.
ResNetConfig resnet_arch(int64_t depth);

/// Takes pictures of any size, or, without a stem, maps. The stride of a bottleneck is that of its 3x3 convolution. Tokens::patch are the places of
/// the last map, row by row, so their mean is the global average pooling. Passes in which options.norm measures may run concurrently, too.
class ResNet final : public Encoder, public Staged {
 public:
  /// Throws std::invalid_argument for stages without blocks, width or a stride, and for a part without stages.
  explicit ResNet(ResNetConfig config);

  const ResNetConfig& config() const { return config_; }
  /// Depth counts stages; the grid is that of a picture of the usual side.
  EncoderShape shape() const override;
  std::vector<int64_t> sides() const override { return {}; }
  std::optional<Cost> cost(const Pass& pass) const override;

  /// Throws NodeError if only some patches are to be seen.
  Tokens encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const override;
  std::vector<StageShape> stages(double side) const override;
  Tokens encode_stages(const Tensor& images_BCHW, const EncodeOptions& options, const StageRequest& request,
                       std::vector<Tensor>& maps_BCHW) const override;
  StageShape branches_from() const override;
  Tensor encode_map(const Tensor& map_BCHW, const EncodeOptions& options) const override;
  /// The maps behind groups of blocks (1 is the first group, not the stem), with running statistics: [B, places, channels of the stage] each. Taps
  /// other than output throw NodeError.
  std::vector<Tensor> hidden(const Tensor& images_BCHW, const std::vector<int64_t>& stages, Tap tap, bool norm_last) const override;
  bool takes_patches() const override { return false; }
  bool drops() const override { return false; }
  Tensor draw_drop_path(Rng, int64_t) const override { return {}; }
  BatchNorms* norms() override { return &norms_; }
  bool leaves_out(std::string_view name) const override { return name.starts_with("fc."); }

 private:
  struct Convolution {
    size_t weight, norm;
    int64_t stride, padding;
  };
  struct Block {
    std::vector<Convolution> convolutions;
    std::optional<Convolution> shortcut;
    size_t stage;
  };
  std::unique_ptr<Module> fresh() const override { return std::make_unique<ResNet>(config_); }
  Convolution add(const std::string& name, const std::string& norm, int64_t in, int64_t out, int64_t kernel, int64_t stride, double gain = 1);
  void add_block(const std::string& name, size_t stage, int64_t in, int64_t width, int64_t stride);
  int64_t stride(size_t stage) const { return config_.strides.empty() ? (stage == 0 ? 1 : 2) : config_.strides[stage]; }
  int64_t out_channels(size_t stage) const { return (config_.width << stage) * (config_.bottleneck ? 4 : 1); }
  Tensor run(const Convolution& at, const Tensor& x, const NormPass& pass) const;
  /// The sum of a block and its shortcut, before its last ReLU.
  Tensor sum(const Block& block, const Tensor& x, const NormPass& pass) const;
  Tensor run(const Block& block, const Tensor& x, const NormPass& pass) const;
  Tensor stem(const Tensor& images_BCHW, const NormPass& pass) const;
  std::vector<StageShape> all_stages(double side) const;
  bool has(int64_t stage) const { return stage >= config_.first && stage <= config_.last; }

  ResNetConfig config_;
  BatchNorms norms_{parameters_, buffers_};
  Convolution stem_{};
  std::vector<Block> blocks_;
};

}  // namespace flowrun::model
