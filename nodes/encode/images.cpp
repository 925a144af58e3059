#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/token_pool.h"
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
          "The vector is taken after the final norm; of a convolutional encoder mean is the global average pooling. With train, gradients are "
          "recorded and a drop_path of the encoder acts, drawn from this node's random stream; without, neither: for teachers. Several nodes may "
          "read one encoder, for crops of several sizes; its gradients add up. What batch norms measure moves the model's running statistics "
          "behind the step: the optimizer that trains it does so, or the train.ema that writes to it.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    Out<Vectors> vectors{"vectors", "B D, or B 2D of cls_mean; float."};
    void describe(auto& port) { port(image, vectors); }
  };
  struct Params {
    Ref<model::Encoder> model;
    std::string pool = "cls";
    std::string statistics = "auto";
    model::Splits splits;
    bool train = true;
    void describe(auto& param) {
      param.reads("model", model, "The encoder.");
      param("pool", pool, model::pool_choices(), model::pool_brief);
      param("train", train, "Whether the vectors are trained on; false for teachers and targets.");
      param("statistics", statistics, model::statistics_choices(), model::statistics_brief);
      splits.describe(param);
    }
    std::optional<ParamFault> check() const { return splits.check(); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.model, params.model.names[0]);
    if (measures()) params.splits.plan(plan);
    model::check_pool(plan, *params.model, params.pool, params.model.names[0]);
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost());
                           }});
    plan.out["vectors"] = Vectors::planned(plan.group.images, model::pooled_width(*params.model, params.pool));
  }

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return (params.train && params.model->drops()) || measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train);
    const Tensor& images = port.image->images_BCHW;
    const int64_t views = port.image->views, apart = params.statistics == "batch" ? 1 : views;
    model::EncodeOptions options;
    if (params.train) options.drop_path = params.model->draw_drop_path(context.rng(), images.size(0));
    if (options.drop_path.defined()) options.drop_path = send(options.drop_path, images.device());
    const auto pass = [&](const Tensor& of_view, const model::NormPass& norm) {
      options.norm = norm;
      return model::pooled(params.model->encode(of_view, model::Seen(), options), params.pool);
    };
    *port.vectors = {
        .values_nD = model::for_each_view(images, apart, measures(), context, pass, params.splits), .views = views, .images = images.size(0)};
  }

 private:
  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }
};

FLOWRUN_NODE(EncodeImages);

}  // namespace
}  // namespace flowrun
