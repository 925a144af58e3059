#include "nodes/lib/tensor/model/resnet.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct ResNetModel {
  static constexpr ModelInfo info{
      .type = "model.resnet",
      .brief = "A residual network: ResNet-18, 34 and 50, and the CIFAR nets of depth 6n + 2.",
      .kind = "resnet",
      .details =
          "Without a classifier; pool mean of encode.images and eval.features is its global average pooling. The stride of a bottleneck is that of "
          "its 3x3 convolution. Names and shapes are torchvision's, so files go both ways: weights reads a state dict of torchvision (fc is left "
          "out), and a checkpoint's file loads there with strict=False. Batch norms have momentum 0.1 and eps 1e-5; whose statistics they take, "
          "encode.images says. Convolutions start as He et al. 2015 over the fan-out, gains at 1.",
      .also = "encoder"};
  struct Params {
    int64_t arch = 50, width = 0, stem_width = 0, image = 0;
    std::vector<int64_t> strides, stages;
    std::string stem = "auto";
    bool zero_last = false;
    void describe(auto& param) {
      param("arch", arch, Range{8, 110}, "18, 34 or 50; or 6n + 2 for pictures of about 32 pixels: 8, 14, 20, 32, 44, 56, 110.");
      param("width", width, Range{0, 4096}, "Channels of the first stage; 0: 64, and 16 of the nets of depth 6n + 2.");
      param("stem_width", stem_width, Range{0, 4096},
            "Channels of the stem; 0: width. RepDistiller's nets of 4 times the width, 8x4 and 32x4, have width 64 and stem_width 32.");
      param("stem", stem, stems(), "imagenet: 7x7 with stride 2, and max pooling. small: 3x3 with stride 1. auto: as published.");
      param("strides", strides, positive, "Of each stage; none: 1, then 2, as published.");
      param("stages", stages, positive,
            "First and last stage that there are, 1 the stem: a trunk [1, 3], or a branch [4, 4] for encode.maps. None: all. A part has the whole's "
            "names.");
      param("zero_last", zero_last, "Whether the gains of each block's last norm start at 0, as in SimSiam, Barlow Twins and VICReg.");
      param("image", image, Range{0, 16384},
            "Usual side of the pictures, for sizes that are told before a run; any size is taken. 0: 224, and 32 of the nets of depth 6n + 2.");
    }
    static const Choices& stems() {
      static const Choices choices = {"auto", "imagenet", "small"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      try {
        (void)model::resnet_arch(arch);
      } catch (const std::invalid_argument& error) {
        return ParamFault{"arch", error.what()};
      }
      const int64_t count = static_cast<int64_t>(model::resnet_arch(arch).blocks.size()) + 1;
      if (stages.empty() || (stages.size() == 2 && stages[0] <= stages[1] && stages[1] >= 2 && stages[1] <= count)) return {};
      return ParamFault{"stages", "stages must be the first and the last one, of " + std::to_string(count) + ", with blocks among them"};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    model::ResNetConfig config = model::resnet_arch(params.arch);
    if (params.width > 0) config.width = params.width;
    config.stem_width = params.stem_width;
    if (params.image > 0) config.image = params.image;
    if (params.stem != "auto") config.small_stem = params.stem == "small";
    config.strides = params.strides;
    config.zero_last = params.zero_last;
    if (!params.stages.empty()) config.first = params.stages[0], config.last = params.stages[1];
    auto resnet = std::make_unique<model::ResNet>(config);
    begin(*resnet, context);
    return resnet;
  }
};

FLOWRUN_MODULE(ResNetModel);

}  // namespace
}  // namespace flowrun
