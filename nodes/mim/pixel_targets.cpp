#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/target/normalised.h"
#include "nodes/lib/tensor/types/check_masks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/mask_rows.h"

namespace flowrun {
namespace {

struct PixelTargets {
  static constexpr NodeInfo info{
      .type = "mim.pixel_targets",
      .brief = "The pixels of the target patches: what MAE, CrossMAE and SimMIM predict.",
      .scope = Scope::device,
      .details =
          "The pixels are those of the images as the encoder gets them: row by row, the three channels of a pixel side by side. With normalise each "
          "patch is standardised with its own mean and variance (MAE: unbiased, eps 1e-6). The predictor's out is 3 patch^2.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "The target regions."};
    Out<Target> target{"target", "B R M F, F = 3 patch^2; or 1 1 n F of rows that the masks choose."};
    void describe(auto& port) { port(image, mask, target); }
  };
  struct Params : TargetRows {
    int64_t patch = 16;
    bool normalise = true, unbiased = true;
    double eps = 1e-6;
    void describe(auto& param) {
      param("patch", patch, positive, "Side of a patch, pixels; as the encoder's.");
      param("normalise", normalise, "Whether each patch is standardised separately.");
      param("eps", eps, Range{0, 1}, "Added to the variance.");
      param("unbiased", unbiased, "Variance over F - 1 instead of F.");
      TargetRows::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    check_patches(plan, params.patch);
    const auto values = static_cast<double>(3 * params.patch * params.patch);
    plan.out["target"] = params.planned(plan.group, values);
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& images = port.image->images_BCHW;
    if (images.size(2) % params.patch != 0 || images.size(3) % params.patch != 0) {
      throw NodeError("patches of " + std::to_string(params.patch) + " pixels don't tile images of " + std::to_string(images.size(2)));
    }
    check_masks(*port.mask, images.size(3) / params.patch, "this node");
    port.target->values = mim::pixel_targets(images, params.index(*port.mask), params.patch, params.normalise, {params.eps, params.unbiased});
    port.target->parts.clear();
  }
};

FLOWRUN_NODE(PixelTargets);

}  // namespace
}  // namespace flowrun
