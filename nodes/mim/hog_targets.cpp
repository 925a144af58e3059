#include "graph/node.h"
#include "nodes/lib/tensor/target/hog.h"
#include "nodes/lib/tensor/types/check_masks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/mask_rows.h"

namespace flowrun {
namespace {

struct HogTargets {
  static constexpr NodeInfo info{
      .type = "mim.hog_targets",
      .brief = "Histograms of oriented gradients of the target patches: what MaskFeat predicts.",
      .scope = Scope::device,
      .details =
          "Per channel and cell a histogram of gradient directions in half a turn, weighted by gradient length, of length 1; scikit-image's "
          "feature.hog with one cell to a block; operator maskfeat is that of MaskFeat's code: Sobel's kernels, reflected borders, sums. It is "
          "computed from the images as the encoder gets them. The predictor's out is 3 bins (patch / "
          "cell)^2: 108 with the defaults.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The target regions."};
    Out<Target> target{"target", "B R M O, or 1 1 n O of rows that the masks choose."};
    void describe(auto& port) { port(image, mask, target); }
  };
  struct Params : TargetRows {
    int64_t patch = 16, bins = 9, cell = 8;
    std::string kind = "scikit";
    void describe(auto& param) {
      param("patch", patch, positive, "Side of a patch, pixels; as the encoder's.");
      param("bins", bins, Range{1, 360}, "Directions in half a turn.");
      param("cell", cell, positive, "Side of a cell, pixels; divides patch.");
      param("operator", kind, operators(), "scikit: scikit-image's histograms. maskfeat: those of the published MaskFeat runs.");
      TargetRows::describe(param);
    }
    std::optional<ParamFault> check() const {
      if (patch % cell != 0) return ParamFault{"cell", "cells of " + std::to_string(cell) + " pixels don't tile a patch of " + std::to_string(patch)};
      return {};
    }
    static const Choices& operators() {
      static const Choices choices = {"scikit", "maskfeat"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    check_patches(plan, params.patch);
    const int64_t cells = params.patch / params.cell;
    const auto values = static_cast<double>(3 * params.bins * cells * cells);
    plan.out["target"] = params.planned(plan.group, values);
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& images = port.image->images_BCHW;
    if (images.size(2) % params.patch != 0 || images.size(3) % params.patch != 0) {
      throw NodeError("patches of " + std::to_string(params.patch) + " pixels don't tile images of " + std::to_string(images.size(2)));
    }
    check_masks(*port.mask, images.size(3) / params.patch, "this node");
    const auto kind = params.kind == "maskfeat" ? mim::HogOperator::maskfeat : mim::HogOperator::scikit;
    const mim::Hog options{.bins = params.bins, .cell = params.cell, .kind = kind};
    port.target->values = mim::hog_targets(images, params.index(*port.mask), params.patch, options);
    port.target->parts.clear();
  }
};

FLOWRUN_NODE(HogTargets);

}  // namespace
}  // namespace flowrun
