// Plain convolutional networks: AlexNet and Network in Network as RotNet has them, or any list of layers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nodes/lib/tensor/model/batch_norm.h"
#include "nodes/lib/tensor/model/encoder.h"

namespace flowrun::model {

/// One layer: "conv CHANNELS KERNEL [STRIDE [PADDING]]" or "linear CHANNELS", each with a batch norm and a ReLU behind it; or
/// "pool KERNEL STRIDE [PADDING]", of maxima, "average KERNEL STRIDE [PADDING]".
struct ConvLayer {
  enum class Kind { conv, linear, pool, average } kind = Kind::conv;
  int64_t channels = 0, kernel = 1, stride = 1, padding = 0;

  /// Throws std::invalid_argument that quotes the text.
  static ConvLayer parse(const std::string& text);
};

struct ConvNetConfig {
  std::vector<ConvLayer> layers;
  int64_t image = 224;  ///< side of the pictures; any side is taken unless there is a linear layer
};

/// The layers of "alexnet" (Krizhevsky et al. 2012 without its two towers and response norms) and "nin" (Lin et al. 2014, four blocks for
/// 32 pixels), both as in RotNet's code (Gidaris et al. 2018), without a classifier. Throws std::invalid_argument that lists them.
std::vector<std::string> convnet_arch(std::string_view name);

/// Tokens::patch are the places of the last map, row by row, or one place behind a linear layer, so their mean is the global average
/// pooling. Parameters of layer i, from 0, are layers.i.weight, and layers.i.norm.* as PyTorch's batch norm; no biases. Blocks are layers,
/// from 1. Thread rule as for ResNet.
class ConvNet final : public Encoder {
 public:
  /// Throws std::invalid_argument without layers, and for a map that has no place left.
  explicit ConvNet(ConvNetConfig config);

  EncoderShape shape() const override;
  std::vector<int64_t> sides() const override;
  std::optional<Cost> cost(const Pass& pass) const override;
  /// Throws NodeError if only some patches are to be seen.
  Tokens encode(const Tensor& images_BCHW, const Seen& seen, const EncodeOptions& options) const override;
  /// Maps behind layers, with running statistics: [B, places, channels] each. Taps other than output throw NodeError.
  std::vector<Tensor> hidden(const Tensor& images_BCHW, const std::vector<int64_t>& layers, Tap tap, bool norm_last) const override;
  bool takes_patches() const override { return false; }
  bool drops() const override { return false; }
  Tensor draw_drop_path(Rng, int64_t) const override { return {}; }
  BatchNorms* norms() override { return &norms_; }

 private:
  struct Layer {
    ConvLayer is;
    size_t weight = 0, norm = 0;  // of conv and linear
    int64_t side = 1;             // of its map, for pictures of the usual side
    int64_t channels = 0;         // of its map
  };
  std::unique_ptr<Module> fresh() const override { return std::make_unique<ConvNet>(config_); }
  Tensor run(const Layer& layer, const Tensor& x, const NormPass& pass) const;

  ConvNetConfig config_;
  BatchNorms norms_{parameters_, buffers_};
  std::vector<Layer> layers_;
  bool linear_ = false;
};

}  // namespace flowrun::model
