#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include "graph/node.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct EncodeImages {
  static constexpr NodeInfo info{
      .type = "encode.images",
      .brief = "Whole images through an encoder: one vector of each.",
      .scope = Scope::device,
      .details =
          "The vector is taken after the final norm. With train, gradients are recorded and a drop_path of the encoder acts, drawn from this node's "
          "random stream; without, neither: for teachers. Several nodes may read one encoder, for crops of several sizes; its gradients add up.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    Out<Vectors> vectors{"vectors", "B D, or B 2D of cls_mean; float."};
    void describe(auto& port) { port(image, vectors); }
  };
  struct Params {
    Ref<model::Encoder> model;
    std::string pool = "cls";
    bool train = true;
    void describe(auto& param) {
      param.reads("model", model, "The encoder.");
      param("pool", pool, pools(), "cls: the class token. mean: of all patches. cls_mean: both, the class token first.");
      param("train", train, "Whether the vectors are trained on; false for teachers and targets.");
    }
    static const Choices& pools() {
      static const Choices choices = {"cls", "mean", "cls_mean"};
      return choices;
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost());
                           }});
    const auto width = static_cast<double>(params.model->shape().width);
    plan.out["vectors"] = Planned::of({plan.group.images, params.pool == "cls_mean" ? 2 * width : width}, "float32", 4);
  }

  void open(const OpenContext&) const {
    if (params.pool != "mean" && !params.model->shape().class_token) {
      throw NodeError("pool is " + params.pool + ", but the encoder has no class token; set pool to mean");
    }
  }

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return params.train && params.model->drops() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train);
    const Tensor& images = port.image->images_BCHW;
    model::EncodeOptions options;
    if (params.train) options.drop_path = params.model->draw_drop_path(context.rng(), images.size(0));
    if (options.drop_path.defined()) options.drop_path = send(options.drop_path, images.device());
    const model::Tokens tokens = params.model->encode(images, model::Seen(), options);
    std::vector<Tensor> parts;
    if (params.pool != "mean") parts.push_back(tokens.cls_B1D.select(1, 0));
    if (params.pool != "cls") parts.push_back(tokens.patch.to(at::kFloat).mean(1));
    *port.vectors = {.values_nD = parts.size() == 1 ? parts[0] : at::cat(parts, 1), .views = port.image->views, .images = images.size(0)};
  }
};

FLOWRUN_NODE(EncodeImages);

}  // namespace
}  // namespace flowrun
