#include <ATen/core/grad_mode.h>

#include "nodes/device.h"
#include "nodes/mim/math.h"
#include "nodes/model_resources.h"

namespace flowrun {
namespace {

struct HiddenTargets {
  static constexpr NodeInfo info{
      .type = "mim.hidden_targets",
      .brief = "The teacher's hidden blocks at the target patches, standardised: what Bootleg's student predicts.",
      .scope = Scope::device,
      .details =
          "The teacher sees the whole image. Of each block's raw output the rows of the target patches are taken and z-scored per token in "
          "float32; the blocks are joined in increasing order. Blocks behind the last one asked for do not run. No gradient."};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The target regions."};
    Out<Target> target{"target", "B R M O, O = blocks x width."};
    void describe(auto& port) { port(image, mask, target); }
  };
  struct ZScoreParams {
    double eps = 1e-5;
    bool unbiased = false;
    void describe(auto& param) {
      param("eps", eps, Range{0, 1}, "Added to the variance.");
      param("unbiased", unbiased, "Variance over D - 1 instead of D.");
    }
  };
  struct Params {
    Ref<VitResource> model;
    std::vector<int64_t> blocks;
    ZScoreParams zscore;
    void describe(auto& param) {
      param.reads("model", model, "The teacher.");
      param.required("blocks", blocks, positive, "Hidden blocks, 1-based and increasing: for ViT-S 1, 4, 8, 12.");
      param("zscore", zscore, "Standardisation of each token.");
    }
    std::optional<ParamFault> check() const {
      if (blocks.empty()) return ParamFault{"blocks", "blocks must name at least one block"};
      for (size_t i = 1; i < blocks.size(); ++i) {
        if (blocks[i] <= blocks[i - 1]) return ParamFault{"blocks", "blocks must increase"};
      }
      return {};
    }
  };
  Params params;

  void open(const OpenContext&) {
    const int64_t depth = params.model->vit.config().depth;
    if (params.blocks.back() > depth) {
      throw NodeError("block " + std::to_string(params.blocks.back()) + " is asked for, but the teacher has " + std::to_string(depth));
    }
  }

  void run(Ports& port, const GroupContext&) const {
    if (!port.mask->targets_BRM.defined()) throw NodeError("there are no masks: connect device.upload's input \"mask\"");
    const at::NoGradGuard no_grad;
    const std::vector<Tensor> taps = params.model->vit.hidden(port.image->images_BCHW, params.blocks);
    port.target->values = mim::hidden_targets(taps, port.mask->targets_BRM, {params.zscore.eps, params.zscore.unbiased});
    port.target->parts = params.blocks;
  }
};

FLOWRUN_NODE(HiddenTargets);

}  // namespace
}  // namespace flowrun
