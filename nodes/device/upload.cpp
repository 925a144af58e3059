#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/MemoryFormat.h>

#include "nodes/device.h"
#include "nodes/host.h"
#include "nodes/kernels/kernels.h"
#include "nodes/model_resources.h"

namespace flowrun {
namespace {

struct Upload {
  static constexpr NodeInfo info{
      .type = "device.upload",
      .brief = "Brings images, labels and masks to the device and normalises the images there.",
      .scope = Scope::device,
      .details =
          "Images travel as bytes and become float (x / 255 - mean) / std on the device. On CUDA the copies go through pinned memory and "
          "nothing waits for them."};
  struct Ports {
    In<ImageBatch> image{"image", "B H W 3 u8."};
    In<LabelBatch> label{"label", "Classes.", optional};
    In<Masks> mask{"mask", "Visible patches and target regions.", optional};
    In<LabelMapBatch> label_map{"label_map", "Class of each pixel.", optional};
    Out<DeviceImages> images{"image", "B 3 H W float, normalised."};
    Out<DeviceLabels> labels{"label", "B int64; empty without labels."};
    Out<DeviceMasks> masks{"mask", "B K and B R M int64; empty without masks."};
    Out<DeviceLabelMaps> label_maps{"label_map", "B H W u8; empty without label maps."};
    void describe(auto& port) { port(image, label, mask, label_map, images, labels, masks, label_maps); }
  };
  struct Params {
    std::vector<double> mean = {0.485, 0.456, 0.406};
    std::vector<double> std = {0.229, 0.224, 0.225};
    void describe(auto& param) {
      param("mean", mean, Range{0, 1}, "Per channel, of pixels in 0..1; default: ImageNet's.");
      param("std", std, Range{1e-3, 10}, "Per channel; default: ImageNet's.");
    }
    std::optional<ParamFault> check() const {
      if (mean.size() != 3) return ParamFault{"mean", "mean must be three numbers: red, green, blue"};
      if (std.size() != 3) return ParamFault{"std", "std must be three numbers: red, green, blue"};
      return {};
    }
  };
  Params params;

  void open(const OpenContext& context) {
    device_ = torch_device(context.run);
    scale_.clear(), shift_.clear();
    // (x / 255 - mean) / std as one product and one sum.
    for (size_t c = 0; c < 3; ++c) {
      scale_.push_back(static_cast<float>(1.0 / (255.0 * params.std[c])));
      shift_.push_back(static_cast<float>(-params.mean[c] / params.std[c]));
    }
  }

  void run(Ports& port, const GroupContext&) {
    const at::NoGradGuard no_grad;
    const ImageBatch& in = *port.image;
    const int64_t images = in.images;
    // On the host the bytes are read where they are.
    const Tensor there = device_.is_cpu() ? Tensor() : send(in.pixels.data(), {images, in.height, in.width, in.channels}, at::kByte);
    const uint8_t* bytes = there.defined() ? there.const_data_ptr<uint8_t>() : in.pixels.data();
    port.images->images_BCHW = kernels::normalised(bytes, images, in.height, in.width, scale_, shift_, device_);
    if (port.label && !port.label->values.empty()) port.labels->labels_B = send(port.label->values.data(), {images}, at::kLong);
    if (port.label_map && !port.label_map->pixels.empty()) {
      const LabelMapBatch& maps = *port.label_map;
      port.label_maps->maps_BHW = send(maps.pixels.data(), {images, maps.height, maps.width}, at::kByte);
    }
    if (port.mask) {
      const Masks& masks = *port.mask;
      port.masks->grid = masks.grid;
      port.masks->visible_BK = send(masks.visible.data(), {masks.rows(), masks.visible_count}, at::kLong);
      port.masks->targets_BRM = send(masks.targets.data(), {masks.rows(), masks.regions, masks.region_size}, at::kLong);
    }
  }

 private:
  /// A copy on the device: the host's memory serves the next group meanwhile.
  Tensor send(const void* data, at::IntArrayRef shape, at::ScalarType type) const {
    const Tensor host = at::from_blob(const_cast<void*>(data), shape, at::TensorOptions(type));
    if (device_.is_cpu()) return host.clone();
    // Batches lie in page-locked memory, which its cache keeps until the copy is done; small things are moved there.
    if (host.is_pinned()) return host.to(device_, type, /*non_blocking=*/true);
    Tensor pinned = at::empty(shape, at::TensorOptions(type).pinned_memory(true));
    return pinned.copy_(host).to(device_, type, /*non_blocking=*/true);
  }

  at::Device device_{at::kCPU};
  std::vector<float> scale_, shift_;
};

FLOWRUN_NODE(Upload);

}  // namespace
}  // namespace flowrun
