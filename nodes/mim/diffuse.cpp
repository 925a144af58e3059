#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "graph/node.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/random.h"
#include "nodes/lib/tensor/target/diffusion.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/times.h"

namespace flowrun {
namespace {

struct Diffuse {
  static constexpr NodeInfo info{
      .type = "mim.diffuse",
      .brief = "Adds Gaussian noise of a random time to each picture: UMD's noised pictures, and the noise as what is predicted.",
      .scope = Scope::device,
      .details =
          "The forward process of diffusion (DDPM) with the cosine schedule of Nichol and Dhariwal: sqrt(a) x + sqrt(1 - a) noise, where the share a "
          "falls from near 1 to near 0 over the times. The time of each picture is uniform in 1 to steps; models with \"time\": true need it, and "
          "take 0 for pictures without noise. The schedule is made for pixels in [-1, 1]: mean and std of 0.5 in device.upload. Times and the "
          "noise's key come from this node's random stream and enter the ledger. The noise itself is drawn on the device: that of a CPU is another "
          "than that of a GPU."};
  struct Ports {
    In<DeviceImages> image{"image", "B C H W."};
    Out<DeviceImages> out{"image", "The same with noise."};
    Out<DeviceImages> noise{"noise", "B C H W: the noise, with mean 0 and standard deviation 1; for mim.pixel_targets."};
    Out<Times> time{"time", "B int64."};
    void describe(auto& port) { port(image, out, noise, time); }
  };
  struct Params {
    int64_t steps = 1000;
    void describe(auto& param) { param("steps", steps, Range{2, 1'000'000}, "How many times there are."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("image");
    if (in.noised) plan.fault("image", "the pictures have noise already", "connect those without");
    plan.out["image"].side = plan.out["noise"].side = in.side;
    plan.out["image"].noised = true;
  }

  /// Every group has its own random numbers; a recording would repeat those of the first.
  int64_t variant(const GroupContext&) const { return -1; }

  void open(const OpenContext&) { shares_ = mim::cosine_shares(params.steps); }

  void run(Ports& port, const GroupContext& context) const {
    const at::NoGradGuard no_grad;
    const Tensor& images = port.image->images_BCHW;
    const int64_t all = images.size(0), each = all / context.parts;
    const Tensor times_B = at::empty({all}, at::kLong), shares_B = at::empty({all}, at::kDouble);
    auto* const times = times_B.mutable_data_ptr<int64_t>();
    auto* const shares = shares_B.mutable_data_ptr<double>();
    std::vector<Tensor> noise;
    for (int64_t part = 0; part < context.parts; ++part) {
      Rng rng = context.rng(part);
      std::vector<int64_t> shape = images.sizes().vec();
      shape[0] = each;
      const uint64_t key = static_cast<uint64_t>(rng.bits()) << 32 | rng.bits();
      noise.push_back(model::keyed_normal(shape, 1, key, images.options()));
      context.ledger.add(hash_bytes(&key, sizeof key));
      for (int64_t i = part * each; i < (part + 1) * each; ++i) {
        const auto before = static_cast<int64_t>(rng.below(static_cast<uint32_t>(params.steps)));
        times[i] = before + 1, shares[i] = shares_[static_cast<size_t>(before)];
      }
      context.ledger.add(hash_bytes(times + part * each, sizeof(int64_t) * static_cast<size_t>(each), 1));
    }
    const DeviceImages& in = *port.image;
    *port.noise = {.images_BCHW = noise.size() == 1 ? noise[0] : at::cat(noise), .views = in.views, .mean = {}, .std = {}};
    *port.out = {.images_BCHW = mim::with_noise(images, port.noise->images_BCHW, shares_B), .views = in.views, .mean = in.mean, .std = in.std};
    port.time->values_B = send(times_B, images.device());
  }

 private:
  std::vector<double> shares_;
};

FLOWRUN_NODE(Diffuse);

}  // namespace
}  // namespace flowrun
