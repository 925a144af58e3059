#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>

#include "graph/node.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct EncodePlaces {
  static constexpr NodeInfo info{
      .type = "encode.places",
      .brief = "Whole images through an encoder: one vector of each place of its last map, or of each patch.",
      .scope = Scope::device,
      .details =
          "For methods that predict something of every place; head.apply on these rows is a convolution of 1 x 1. Rows are ordered by image, then by "
          "place, row by row. Gradients, drop_path and batch norms are those of encode.images.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    Out<Vectors> vectors{"vectors", "B N rows of D; float."};
    void describe(auto& port) { port(image, vectors); }
  };
  struct Params {
    Ref<model::Encoder> model;
    std::string statistics = "auto";
    bool train = true;
    void describe(auto& param) {
      param.reads("model", model, "The encoder.");
      param("train", train, "Whether the vectors are trained on; false for teachers and evaluations.");
      param("statistics", statistics, model::statistics_choices(), model::statistics_brief);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.model, params.model.names[0]);
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost());
                           }});
    const model::EncoderShape shape = params.model->shape();
    const bool usual = plan.known("image").side == static_cast<double>(shape.image);
    plan.out["vectors"] = Vectors::planned(usual ? plan.group.images * static_cast<double>(shape.patches()) : 0, static_cast<double>(shape.width));
    plan.out["vectors"].grid = usual ? static_cast<double>(shape.grid) : 0;
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
      return params.model->encode(of_view, model::Seen(), options).patch.to(at::kFloat);
    };
    const Tensor places_BND = model::for_each_view(images, apart, measures(), context, pass);
    const Tensor image_B1 = at::arange(images.size(0), images.options().dtype(at::kLong)).unsqueeze(1);
    *port.vectors = {.values_nD = places_BND.flatten(0, 1),
                     .views = views,
                     .image_n = image_B1.expand({-1, places_BND.size(1)}).flatten(),
                     .images = images.size(0)};
  }

 private:
  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }
};

FLOWRUN_NODE(EncodePlaces);

}  // namespace
}  // namespace flowrun
