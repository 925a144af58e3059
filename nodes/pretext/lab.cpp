#include "nodes/lib/tensor/target/lab.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <cmath>

#include "graph/node.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/model/counts.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct Lab {
  static constexpr NodeInfo info{.type = "pretext.lab",
                                 .brief = "Colour pictures as lightness, and the colours of their squares as targets: colorization.",
                                 .scope = Scope::device,
                                 .details =
                                     "CIE Lab (D65, 2 degrees) of sRGB, from the values before the upload's mean and std. The lightness L stands "
                                     "in all three channels, as (L - 50) / 50. The mean (a, b) of each square of stride pixels becomes a "
                                     "distribution over bins of colours: its nearest ones, weighted by exp(-distance^2 / (2 sigma^2)) (Zhang et "
                                     "al., 2016, whose code has ten of them). A row's weight is that of its nearest bin: 1 / ((1 - even) share + "
                                     "even / bins), times a factor that makes the mean weight 1; shares are those of model.counts. Rows of "
                                     "pictures in which no square has an |a| or |b| above gray weigh 0.",
                                 .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W, of device.upload."};
    Out<DeviceImages> lightness{"image", "B 3 H W: L, three times."};
    Out<SoftLabels> soft_label{"soft_label", "n K with weights: a row for each square, n = B H W / stride^2."};
    Out<DeviceLabels> label{"label", "n: the nearest bin of each square."};
    void describe(auto& port) { port(image, lightness, soft_label, label); }
  };
  struct Params {
    Ref<model::Counts> counts;
    int64_t stride = 8, neighbours = 10;
    double bin = 10, sigma = 5, even = 0.5, gray = 5;
    std::string gamut = "hull";
    void describe(auto& param) {
      param.reads("counts", counts, "The model.counts with the shares of the bins; its classes are the bins.");
      param("stride", stride, positive, "Side of a square in pixels: as many as a place of the encoder's last map stands for.");
      param("bin", bin, Range{5, 60}, "Side of a bin in units of a and b.");
      param(
          "gamut", gamut, gamuts(),
          "Which multiples of bin are bins. hull: those closer than bin, in both a and b, to the convex hull of sRGB's colours: the published 313 of "
          "10 units. srgb: those around which a square of that side holds a colour of sRGB: 261 of 10 units, 77 of 20.");
      param("neighbours", neighbours, positive, "How many bins a colour is spread over.");
      param("sigma", sigma, Range{0.1, 100}, "Of the Gaussian that spreads it, in units of a and b.");
      param("even", even, Range{0, 1}, "How much of an even distribution the shares are mixed with; 1: all rows weigh the same.");
      param("gray", gray, Range{0, 200}, "Pictures without an |a| or |b| above it don't count.");
    }
    static const Choices& gamuts() {
      static const Choices choices = {"hull", "srgb"};
      return choices;
    }
    Tensor bins() const { return target::colour_bins(bin, gamut == "hull" ? target::Gamut::hull : target::Gamut::srgb); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const int64_t bins = params.bins().size(0);
    if (bins != params.counts->classes()) {
      plan.fault("counts", wrong_counts(bins), "set classes of " + params.counts.names[0] + " to " + std::to_string(bins));
    }
    const double side = plan.known("image").side, grid = side / static_cast<double>(params.stride);
    if (side > 0 && grid != std::floor(grid)) plan.fault("stride", wrong_stride(count_text(side)));
    plan.out["image"].side = side;
    const double rows = plan.group.images * grid * grid;
    plan.out["soft_label"] = Planned::of({rows, static_cast<double>(bins)}, "float32", 4);
    plan.out["soft_label"].width = static_cast<double>(bins);
    if (grid == std::floor(grid)) plan.out["soft_label"].grid = grid;
    plan.out["label"] = Planned::of({rows}, "int64", 8);
  }

  void open(const OpenContext& context) {
    bins_K2_ = params.bins().to(torch_device(context.run));
    if (bins_K2_.size(0) != params.counts->classes()) throw NodeError(wrong_counts(bins_K2_.size(0)));
    mean_.reset(), std_.reset();
  }

  void run(Ports& port, const GroupContext&) {
    const at::NoGradGuard no_grad;
    const DeviceImages& in = *port.image;
    const int64_t height = in.images_BCHW.size(2), width = in.images_BCHW.size(3), stride = params.stride;
    if (height % stride != 0 || width % stride != 0) throw NodeError(wrong_stride(std::to_string(width) + "x" + std::to_string(height)));
    const Tensor lab = target::lab(plain(in));
    const Tensor ab_B2hw = lab.narrow(1, 1, 2).unflatten(3, {-1, stride}).mean(4).unflatten(2, {-1, stride}).mean(3);
    *port.lightness = {.images_BCHW = lab.narrow(1, 0, 1).sub(50).div(50).expand_as(lab).contiguous(), .views = in.views, .mean = {}, .std = {}};

    const Tensor ab_n2 = ab_B2hw.permute({0, 2, 3, 1}).reshape({-1, 2});
    port.soft_label->values_BC = target::soft_bins(ab_n2, bins_K2_, params.neighbours, params.sigma);
    port.soft_label->views = in.views;
    const Tensor nearest_n = port.soft_label->values_BC.argmax(1);
    const Tensor coloured_B1 = ab_B2hw.abs().flatten(1).amax(1, /*keepdim=*/true).gt(params.gray).to(at::kFloat);
    const Tensor weight_n = target::rebalanced(params.counts->shares_K(), params.even).index_select(0, nearest_n);
    port.soft_label->weight_B = weight_n.view({lab.size(0), -1}).mul(coloured_B1).flatten();
    port.label->labels_B = nearest_n;
    port.label->range = {.known = true, .least = 0, .most = bins_K2_.size(0) - 1};
  }

 private:
  std::string wrong_counts(int64_t bins) const {
    return "there are " + std::to_string(bins) + " bins of " + count_text(params.bin) + " units, but " + params.counts.names[0] + " has " +
           std::to_string(params.counts->classes()) + " classes";
  }
  std::string wrong_stride(const std::string& side) const {
    return "squares of " + std::to_string(params.stride) + " pixels don't tile pictures of " + side;
  }

  /// Values in 0..1, as they were before the upload normalised them. Mean and std are the same in every group; they are sent with the
  /// first, which is never recorded.
  Tensor plain(const DeviceImages& in) {
    if (in.mean.size() != 3 || in.std.size() != 3) {
      throw NodeError("the mean and std of the pictures are not known; take them from a device.upload whose per_image is false");
    }
    if (!mean_.defined()) {
      const auto on_device = [&](const std::vector<double>& of_channels) {
        return at::from_blob(const_cast<double*>(of_channels.data()), {3, 1, 1}, at::TensorOptions(at::kDouble)).to(in.images_BCHW.options()).clone();
      };
      mean_ = on_device(in.mean), std_ = on_device(in.std);
    }
    return in.images_BCHW.mul(std_).add(mean_);
  }

  Tensor bins_K2_, mean_, std_;
};

FLOWRUN_NODE(Lab);

}  // namespace
}  // namespace flowrun
