#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/random.h"
#include "nodes/lib/tensor/target/labels.h"
#include "nodes/lib/tensor/target/mix_math.h"

namespace flowrun {
namespace {

struct SupervisedMix {
  static constexpr NodeInfo info{
      .type = "supervised.mix",
      .brief = "Erases rectangles, then mixes the images of a group with each other, and their smoothed labels alike: mixup and cutmix.",
      .scope = Scope::device,
      .details =
          "As timm's RandomErasing and Mixup in batch mode, the augmentation of DeiT's and MAE's fine-tuning. A group is mixed with itself in "
          "reverse order by one lambda: mixup adds, cutmix pastes a box, and lambda is then the share that the box leaves. With both, a fair coin "
          "decides for each group. Erased rectangles are filled with a normal number per value (timm's pixel mode, which MAE uses) or with 0, the "
          "mean. Lambda, boxes and rectangles are drawn on the host from this node's random stream and enter the ledger; the noise is drawn on the "
          "device by a key of that random stream. Labels are looked at in epoch 0, in which each image passes once."};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W, normalised."};
    In<DeviceLabels> label{"label", "Classes."};
    Out<DeviceImages> out{"image", "B 3 H W."};
    Out<SoftLabels> labels{"soft_label", "B classes; rows sum to 1."};
    void describe(auto& port) { port(image, label, out, labels); }
  };
  struct Params {
    int64_t classes = 1;
    double mixup = 0.8, cutmix = 1, p = 1, switch_p = 0.5, smoothing = 0.1;
    double erase = 0.25, erase_aspect = 0.3;
    std::vector<double> erase_area = {0.02, 1.0 / 3};
    std::string erase_fill = "noise";
    void describe(auto& param) {
      param.required("classes", classes, positive, "How many classes there are.");
      param("mixup", mixup, Range{0, 100}, "Lambda of mixup comes from Beta(mixup, mixup); 0: no mixup.");
      param("cutmix", cutmix, Range{0, 100}, "Lambda of cutmix comes from Beta(cutmix, cutmix); 0: no cutmix.");
      param("p", p, Range{0, 1}, "Chance that a group is mixed at all.");
      param("switch_p", switch_p, Range{0, 1}, "Chance of cutmix where both may be.");
      param("smoothing", smoothing, Range{0, 1}, "Share of a label that is spread evenly over all classes.");
      param("erase", erase, Range{0, 1}, "Chance that a rectangle of an image is erased.");
      param("erase_area", erase_area, Range{1e-4, 1}, "Smallest and largest share of the area that is erased.");
      param("erase_aspect", erase_aspect, Range{1e-2, 1}, "Smallest height over width of what is erased; the largest is one over it.");
      param("erase_fill", erase_fill, fills(), "noise: normal numbers. zero: the mean colour.");
    }
    static const Choices& fills() {
      static const Choices choices = {"noise", "zero"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (erase_area.size() == 2 && erase_area[0] <= erase_area[1]) return {};
      return ParamFault{"erase_area", "erase_area must be two numbers, the smaller first"};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    if (plan.group.per_rank)
      plan.fault("", "it mixes the pictures of a group, and with run.pass \"rank\" all groups of a rank are one", "set run.pass to \"group\"");
    plan.out["image"].side = plan.known("image").side;
    plan.out["soft_label"] = Planned::of({plan.group.images, static_cast<double>(params.classes)}, "float32", 4);
    plan.out["soft_label"].width = static_cast<double>(params.classes);
  }

  void run(Ports& port, const GroupContext& context) const {
    const at::NoGradGuard no_grad;
    const Tensor& images = port.image->images_BCHW;
    const Tensor& labels = port.label->labels_B;
    supervised::check_labels(*port.label, params.classes);
    const int height = static_cast<int>(images.size(2)), width = static_cast<int>(images.size(3));
    Rng rng = context.rng();
    const supervised::MixOptions options{.mixup = params.mixup, .cutmix = params.cutmix, .chance = params.p, .switch_chance = params.switch_p};
    const supervised::Mix mix = supervised::draw_mix(options, height, width, rng);
    context.ledger.add(hash_bytes(&mix.lambda, sizeof mix.lambda));
    if (mix.box) context.ledger.add(hash_bytes(&*mix.box, sizeof *mix.box, 1));
    port.out->images_BCHW = supervised::mix_images(erased(images, rng, context), mix);
    port.labels->values_BC = supervised::mix_labels(labels, params.classes, params.smoothing, mix.lambda);
  }

 private:
  /// The draws of image i begin at place kPlace (i + 1): mixing needs fewer, and so does each image.
  static constexpr uint32_t kPlace = 256;

  Tensor erased(const Tensor& images, Rng rng, const GroupContext& context) const {
    if (params.erase <= 0) return images;
    const supervised::EraseOptions options{
        .chance = params.erase, .low = params.erase_area[0], .high = params.erase_area[1], .aspect = params.erase_aspect};
    std::vector<std::optional<io::Rect>> boxes;
    int64_t values = 0;
    for (int64_t i = 0; i < images.size(0); ++i) {
      rng.seek(kPlace * static_cast<uint32_t>(i + 1));
      boxes.push_back(supervised::draw_erase(options, static_cast<int>(images.size(2)), static_cast<int>(images.size(3)), rng));
      if (!boxes.back()) continue;
      values += images.size(1) * boxes.back()->width * boxes.back()->height;
      context.ledger.add(hash_bytes(&*boxes.back(), sizeof *boxes.back(), static_cast<uint64_t>(i) + 2));
    }
    if (params.erase_fill == "zero" || values == 0) return supervised::erase(images, boxes, {});
    rng.seek(kPlace - 2);
    const uint64_t key = static_cast<uint64_t>(rng.bits()) << 32 | rng.bits();
    return supervised::erase(images, boxes, model::keyed_normal({values}, 1, key, images.options()));
  }
};

FLOWRUN_NODE(SupervisedMix);

}  // namespace
}  // namespace flowrun
