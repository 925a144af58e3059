#include "nodes/lib/tensor/model/wide_resnet.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct WideResNetModel {
  static constexpr ModelInfo info{
      .type = "model.wide_resnet",
      .brief = "A wide residual network for pictures of about 32 pixels: WRN-16-2, WRN-40-2 and others of depth 6n + 4.",
      .kind = "wide_resnet",
      .details =
          "Norm and ReLU stand before each convolution (Zagoruyko and Komodakis 2016), and behind the last block. Without dropout and classifier; "
          "pool mean of encode.images is the global average pooling. WRN-40-2 is arch 40 with width 32: 16 times its widening factor. Names and "
          "shapes are RepDistiller's, so its files load, without fc. Stages of encode.images are the maps that it compares: sums before the next "
          "norm. Batch norms and initial weights as model.resnet.",
      .also = "encoder"};
  struct Params {
    int64_t arch = 16, width = 32, stem_width = 0, image = 32;
    void describe(auto& param) {
      param("arch", arch, Range{10, 1000}, "Layers, 6n + 4: 10, 16, 22, 28, 40.");
      param("width", width, Range{1, 4096},
            "Channels of the first group, 16 times the widening factor; the next two have twice and four times as many.");
      param("stem_width", stem_width, Range{0, 4096}, "Channels of the stem; 0: 16.");
      param("image", image, Range{1, 16384}, "Usual side of the pictures, for sizes that are told before a run; any size is taken.");
    }
    std::optional<ParamFault> check() const {
      if (arch % 6 == 4) return {};
      return ParamFault{"arch", "arch must be 6n + 4, as 10, 16, 28 and 40, not " + std::to_string(arch)};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    model::WideResNetConfig config{.depth = params.arch, .width = params.width, .image = params.image};
    if (params.stem_width > 0) config.stem_width = params.stem_width;
    auto net = std::make_unique<model::WideResNet>(config);
    begin(*net, context);
    return net;
  }
};

FLOWRUN_MODULE(WideResNetModel);

}  // namespace
}  // namespace flowrun
