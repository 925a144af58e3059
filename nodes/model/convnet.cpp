#include "nodes/lib/tensor/model/convnet.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct ConvNetModel {
  static constexpr ModelInfo info{
      .type = "model.convnet",
      .brief = "A plain convolutional network: AlexNet, Network in Network, or a list of layers.",
      .kind = "convnet",
      .details =
          "Each convolution and linear layer has a batch norm and a ReLU behind it, as in RotNet's code; there is no classifier: model.classifier "
          "or model.head stands behind it. A linear layer takes the whole map, so such a network takes pictures of one size. Pool mean of "
          "encode.images and eval.features is the global average pooling. Blocks, for nodes that ask for some, are layers, from 1. Weights start as "
          "He et al. 2015 over the fan-out, gains at 1.",
      .also = "encoder"};
  struct Params {
    std::string arch = "alexnet";
    std::vector<std::string> layers;
    int64_t image = 0;
    void describe(auto& param) {
      param("arch", arch, archs(),
            "alexnet: five convolutions and two linear layers, for 224 pixels. nin: four blocks of three convolutions, for 32.");
      param("layers", layers,
            "Instead of arch's: \"conv CHANNELS KERNEL [STRIDE [PADDING]]\" (stride 1, padding half the kernel), \"linear CHANNELS\", "
            "\"pool KERNEL STRIDE [PADDING]\" of maxima, \"average KERNEL STRIDE [PADDING]\".");
      param("image", image, Range{0, 16384}, "Side of the pictures; 0: arch's.");
    }
    static const Choices& archs() {
      static const Choices choices = {"alexnet", "nin"};
      return choices;
    }
    model::ConvNetConfig config() const {
      model::ConvNetConfig config{.layers = {}, .image = image > 0 ? image : arch == "nin" ? 32 : 224};
      for (const std::string& layer : layers.empty() ? model::convnet_arch(arch) : layers) config.layers.push_back(model::ConvLayer::parse(layer));
      return config;
    }
    std::optional<ParamFault> check() const {
      try {
        (void)config();
      } catch (const std::invalid_argument& error) {
        return ParamFault{"layers", error.what()};
      }
      return {};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto net = std::make_unique<model::ConvNet>(params.config());
    begin(*net, context);
    return net;
  }
};

FLOWRUN_MODULE(ConvNetModel);

}  // namespace
}  // namespace flowrun
