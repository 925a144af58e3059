#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/std_mean.h>
#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/kernels/kernels.h"
#include "nodes/lib/tensor/types/device_matches.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/texts.h"

namespace flowrun {
namespace {

struct Upload {
  static constexpr NodeInfo info{.type = "device.upload",
                                 .brief = "Brings images, labels, masks and texts to the device and normalises the images there.",
                                 .scope = Scope::device,
                                 .details =
                                     "Images travel as bytes and become float (x / 255 - mean) / std on the device; with per_image each view of each "
                                     "picture gets mean 0 and standard deviation 1 over all its values. On CUDA the copies go through pinned memory, "
                                     "on a CUDA stream of their own, while the GPU works on earlier groups; nothing waits for them."};
  struct Ports {
    In<ImageBatch> image{"image", "B H W 3 u8."};
    In<LabelBatch> label{"label", "Classes.", optional};
    In<Masks> mask{"mask", "Visible patches and target regions.", optional};
    In<LabelMapBatch> label_map{"label_map", "Class of each pixel.", optional};
    In<MatchBatch> matches{"matches", "Cells of views that show the same places.", optional};
    In<TextBatch> text{"text", "Texts as numbers.", optional};
    Out<DeviceImages> images{"image", "B 3 H W float, normalised."};
    Out<DeviceLabels> labels{"label", "B int64; empty without labels."};
    Out<DeviceMasks> masks{"mask", "B K and B R M int64, and all hidden patches; empty without masks."};
    Out<DeviceLabelMaps> label_maps{"label_map", "B H W u8; empty without label maps."};
    Out<DeviceMatches> match_tensors{"matches", "The same; empty without matches."};
    Out<DeviceTexts> texts{"text", "B T int64; empty without texts."};
    void describe(auto& port) { port(image, label, mask, label_map, matches, text, images, labels, masks, label_maps, match_tensors, texts); }
  };
  struct Params {
    std::vector<double> mean = {0.485, 0.456, 0.406};
    std::vector<double> std = {0.229, 0.224, 0.225};
    bool per_image = false;
    void describe(auto& param) {
      param("mean", mean, Range{0, 1}, "Per channel, of pixels in 0..1; default: ImageNet's.");
      param("std", std, Range{1e-3, 10}, "Per channel; default: ImageNet's.");
      param("per_image", per_image, "Whether each image is normalised by its own mean and standard deviation, in place of these.");
    }
    std::optional<ParamFault> check() const {
      if (mean.size() != 3) return ParamFault{"mean", "mean must be three numbers: red, green, blue"};
      if (std.size() != 3) return ParamFault{"std", "std must be three numbers: red, green, blue"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "image", &Planned::views, "mask", "draw the masks from the batch of these images");
  }

  void open(const OpenContext& context) {
    device_ = torch_device(context.run);
    scale_.clear(), shift_.clear();
    // (x / 255 - mean) / std as one product and one sum.
    for (size_t c = 0; c < 3; ++c) {
      scale_.push_back(static_cast<float>(1.0 / (255.0 * (params.per_image ? 1 : params.std[c]))));
      shift_.push_back(static_cast<float>(params.per_image ? 0 : -params.mean[c] / params.std[c]));
    }
  }

  void run(Ports& port, const GroupContext&) {
    const at::NoGradGuard no_grad;
    const ImageBatch& in = *port.image;
    if (port.mask && port.mask->images != in.images) {
      throw NodeError("there are " + std::to_string(in.images) + " images, but masks of " + std::to_string(port.mask->images) +
                      ": draw the masks from the batch of these images");
    }
    CopyStream copies(device_);
    // On the host the bytes are read in place.
    Tensor there;
    if (!device_.is_cpu()) there = send_batch(in.pixels.data(), {in.images, in.height, in.width, in.channels}, at::kByte, device_);
    if (port.label && !port.label->values.empty()) *port.labels = DeviceLabels::sent(*port.label, in.images, device_);
    if (port.label_map && !port.label_map->pixels.empty()) send_maps(*port.label_map, in.images, *port.label_maps);
    if (port.mask) *port.masks = DeviceMasks::sent(*port.mask, device_);
    DeviceMatches& matches = *port.match_tensors;
    if (port.matches && !port.matches->from.empty()) send_matches(*port.matches, matches);
    if (port.text && !port.text->ids.empty()) send_texts(*port.text, *port.texts);
    copies.end({there, port.labels->labels_B, port.label_maps->maps_BHW, port.masks->visible_BK, port.masks->targets_BRM, port.masks->ordered_n,
                matches.from_ms, matches.to_ms4, matches.weights_ms4, matches.valid_n, port.texts->ids_BT, port.texts->end_B});
    const uint8_t* bytes = there.defined() ? there.const_data_ptr<uint8_t>() : in.pixels.data();
    port.images->views = in.views;
    port.images->images_BCHW = kernels::normalised(bytes, in.images, in.height, in.width, scale_, shift_, device_);
    port.images->mean = params.mean, port.images->std = params.std;
    if (params.per_image) {
      port.images->images_BCHW = standardised(port.images->images_BCHW);
      port.images->mean.clear(), port.images->std.clear();
    }
  }

 private:
  static Tensor standardised(const Tensor& x_BCHW) {
    // Bytes that are not all equal deviate by 1e-5 at least, in images of up to 226 x 226; those of one colour become 0.
    constexpr double kLeast = 1e-5;
    const auto [deviation, mean] = at::std_mean(x_BCHW, {1, 2, 3}, /*unbiased=*/false, /*keepdim=*/true);
    return x_BCHW.sub(mean).div_(deviation.clamp_min(kLeast));
  }

  void send_maps(const LabelMapBatch& in, int64_t images, DeviceLabelMaps& out) const {
    out.maps_BHW = send_batch(in.pixels.data(), {images, in.height, in.width}, at::kByte, device_);
    // One more than a class, modulo 256: the pixels without a class become 0.
    const Tensor host = at::from_blob(const_cast<uint8_t*>(in.pixels.data()), {images * in.height * in.width}, at::TensorOptions(at::kByte));
    out.range = {.known = true, .most = host.numel() > 0 ? host.add(1).max().item<uint8_t>() - 1 : -1};
  }

  void send_matches(const MatchBatch& in, DeviceMatches& out) const {
    const int64_t pairs = in.pictures * in.layout.pairs(), rows = in.layout.rows;
    out.layout = in.layout, out.pictures = in.pictures;
    out.from_ms = send(in.from.data(), {pairs, rows}, at::kLong, device_);
    out.to_ms4 = send(in.to.data(), {pairs, rows, 4}, at::kLong, device_);
    out.weights_ms4 = send(in.weights.data(), {pairs, rows, 4}, at::kFloat, device_);
    std::vector<int64_t> valid;
    for (int64_t i = 0; i < pairs * rows; ++i) {
      if (in.valid[static_cast<size_t>(i)]) valid.push_back(i);
    }
    out.valid_n = send(valid.data(), {static_cast<int64_t>(valid.size())}, at::kLong, device_);
  }

  void send_texts(const TextBatch& in, DeviceTexts& out) const {
    out.ids_BT = send(in.ids.data(), {in.texts, in.length}, at::kLong, device_);
    out.end_B = send(in.ends.data(), {in.texts}, at::kLong, device_);
    out.most = *std::max_element(in.ids.begin(), in.ids.begin() + in.texts * in.length);
  }

  at::Device device_{at::kCPU};
  std::vector<float> scale_, shift_;
};

FLOWRUN_NODE(Upload);

}  // namespace
}  // namespace flowrun
