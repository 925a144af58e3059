#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <algorithm>
#include <functional>

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/encoder_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/staged.h"
#include "nodes/lib/tensor/model/tap_params.h"
#include "nodes/lib/tensor/model/token_pool.h"
#include "nodes/lib/tensor/types/check_masks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/feature_maps.h"
#include "nodes/lib/tensor/types/times.h"
#include "nodes/lib/tensor/types/tokens.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct EncodeImages {
  static constexpr NodeInfo info{
      .type = "encode.images",
      .brief = "Whole images through an encoder: one vector of each, and all tokens.",
      .scope = Scope::device,
      .details =
          "The vector is taken after the final norm; of a convolutional encoder mean is the global average pooling. With train, gradients are "
          "recorded and a drop_path of the encoder acts, drawn from this node's random stream; without, neither: for teachers. Several nodes may "
          "read one encoder, for crops of several sizes; its gradients add up. What batch norms measure moves the model's running statistics "
          "behind the step: the optimizer that trains it does so, or the train.ema that writes to it. With mask, the encoder's mask token stands in "
          "for hidden patches (BEiT, SimMIM, iBOT): all that are hidden, also where the lists of a mask are cut. tokens.rows picks them. With "
          "stages, maps are those behind stages of a ResNet: 1 is the stem with its pooling, the next ones are the groups of blocks; with "
          "before_relu they are taken before the last ReLU of their group (of model.wide_resnet: behind the norm that comes next). With "
          "blocks or attention, what those blocks of a vision transformer make goes out too, of all its tokens.",
      .repeats = true};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceMasks> mask{"mask", "Its hidden patches become mask tokens.", optional};
    In<Times> time{"time", "Of the noise in each picture, for a model with time; without it pictures have none.", optional};
    Out<Vectors> vectors{"vectors", "B D, or B 2D of cls_mean; float."};
    Out<EncodedTokens> tokens{"tokens", "Class token B 1 D, registers, and all patches B N D."};
    Out<FeatureMaps> maps{"maps", "B C H W of each of stages; empty where there are none."};
    Out<BlockTaps> blocks{"blocks", "B S D of each of blocks; empty where there are none."};
    Out<AttentionTaps> attention{"attention", "Queries, keys and values, B heads S E, of each of attention."};
    void describe(auto& port) { port(image, mask, time, vectors, tokens, maps, blocks, attention); }
  };
  struct Params {
    Ref<model::Encoder> model;
    std::string pool = "cls";
    std::string statistics = "auto";
    model::Splits splits;
    model::StageRequest maps;
    model::TapParams taps;
    bool train = true;
    void describe(auto& param) {
      param.reads("model", model, "The encoder.");
      param("pool", pool, model::pool_choices(), model::pool_brief);
      param("train", train, "Whether the vectors are trained on; false for teachers and targets.");
      param("statistics", statistics, model::statistics_choices(), model::statistics_brief);
      splits.describe(param);
      param("stages", maps.stages, positive, "Stages of a ResNet whose maps go out, increasing; 1 is the stem.");
      param("before_relu", maps.before_relu, "Whether these maps are taken before the last ReLU of their group.");
      taps.describe(param);
    }
    std::optional<ParamFault> check() const {
      const std::vector<int64_t>& stages = maps.stages;
      if (std::adjacent_find(stages.begin(), stages.end(), std::greater_equal()) != stages.end()) return ParamFault{"stages", "stages must increase"};
      if (maps.before_relu && (stages.empty() || stages[0] == 1)) {
        return ParamFault{"before_relu", "before_relu needs stages other than 1: the stem's map is always taken after its ReLU"};
      }
      if (!stages.empty() && splits.count > 1) return ParamFault{"stages", "stages are of whole groups; set splits to 1"};
      if (auto fault = taps.check()) return fault;
      return splits.check();
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    model::check_images(plan, *params.model, params.model.names[0]);
    check_time(plan, params.model->takes_time(), params.model.names[0], "model.vit");
    if (measures()) params.splits.plan(plan);
    model::check_pool(plan, *params.model, params.pool, params.model.names[0]);
    const bool masked = plan.in.contains("mask");
    if (masked) model::check_hidden(plan, *params.model, params.model.names[0]);
    model::check_stages(plan, *params.model, params.maps.stages, params.model.names[0]);
    const double repeats = masked ? plan.group.repeats : 1, images = plan.group.images * repeats;
    const double side = plan.known("image").side;
    plan.passes.push_back(
        {params.model.names[0], params.train,
         [&model = *params.model, repeats, side, read = read(plan.reads("tokens")), element = plan.group.element](const MaskCounts&) {
           return model.cost({.whole = true, .side = side, .read = read, .element = element}).value_or(Cost()).times(repeats);
         }});
    plan.out["vectors"] = Vectors::planned(images, model::pooled_width(*params.model, params.pool));
    plan.out["tokens"] = EncodedTokens::planned(images, model::grid_of_side(*params.model, side), params.model->shape().width);
    const std::vector<StageShape> stages = model::stages_of(*params.model, params.maps.stages, side);
    plan.out["maps"] = stages.size() == params.maps.stages.size() ? FeatureMaps::planned(images, stages) : Planned();
    const double grid = model::grid_of_side(*params.model, side);
    params.taps.plan(plan, *params.model, params.model.names[0], images, grid * grid + static_cast<double>(params.model->shape().prefix));
    plan.out["blocks"].grid = grid;
  }

  void open(const OpenContext& context) { tokens_read_ = context.reads("tokens"); }

  /// Numbers drawn on the host can't be recorded.
  int64_t variant(const GroupContext&) const { return (params.train && params.model->drops()) || measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const Tensor& images = port.image->images_BCHW;
    const int64_t views = port.image->views, apart = params.statistics == "batch" ? 1 : views;
    model::Seen seen;
    if (port.mask) seen.hidden_BN = hidden(*port.mask, images);
    model::EncodeOptions options{.time_B = port.time ? port.time->values_B : Tensor(),
                                 .taps = {.outputs = params.taps.blocks, .attention = params.taps.attention},
                                 .read = read(tokens_read_)};
    const int64_t rows = seen.hidden_BN.defined() ? seen.hidden_BN.size(0) : images.size(0);
    if (params.train) options.drop_path = model::draw_drop_path(*params.model, context, rows, images.device());
    model::Tokens tokens;
    std::vector<std::vector<Tensor>> maps;  // of each pass
    const auto pass = [&](const Tensor& of_view, const model::NormPass& norm) {
      options.norm = norm;
      tokens = params.maps.stages.empty() ? params.model->encode(of_view, seen, options) : encode_stages(of_view, options, maps.emplace_back());
      return model::pooled(tokens, params.pool);
    };
    const int64_t of_picture = views * (rows / images.size(0));
    *port.vectors = {.values_nD = model::for_each_view(images, apart, measures(), context, pass, params.splits), .views = of_picture, .images = rows};
    port.tokens->views = of_picture;
    // Of several passes, one for each view, there is no sequence of them all.
    if (tokens.patch.defined() && tokens.patch.size(0) == rows) {
      port.tokens->cls_B1D = tokens.cls_B1D, port.tokens->patch_BND = tokens.patch, port.tokens->registers_BRD = tokens.registers;
    }
    *port.maps = {.maps_BCHW = of_all_views(maps), .stages = params.maps.stages, .views = of_picture};
    params.taps.give(tokens, *params.model, of_picture, *port.blocks, *port.attention);
  }

 private:
  model::Tokens encode_stages(const Tensor& images, const model::EncodeOptions& options, std::vector<Tensor>& maps) const {
    const auto* const staged = dynamic_cast<const model::Staged*>(&*params.model);
    if (staged == nullptr)
      throw NodeError(params.model.names[0] + " has no stages: give this node a model.resnet or model.wide_resnet, or leave stages out");
    return staged->encode_stages(images, options, params.maps, maps);
  }
  /// The maps of passes over one view each, those of a picture side by side.
  static std::vector<Tensor> of_all_views(const std::vector<std::vector<Tensor>>& passes) {
    if (passes.size() < 2) return passes.empty() ? std::vector<Tensor>() : passes[0];
    std::vector<Tensor> together;
    for (size_t i = 0; i < passes[0].size(); ++i) {
      std::vector<Tensor> views;
      for (const std::vector<Tensor>& of_view : passes) views.push_back(of_view[i]);
      together.push_back(at::stack(views, 1).flatten(0, 1));
    }
    return together;
  }
  Tensor hidden(const DeviceMasks& masks, const Tensor& images) const {
    const std::string& name = params.model.names[0];
    if (!params.model->takes_hidden()) throw NodeError(name + " has no mask token: set its mask_token to true, or connect no mask");
    check_masks(masks, static_cast<int64_t>(model::grid_of_side(*params.model, static_cast<double>(images.size(3)))), name);
    return masks.hidden_BN();
  }
  model::Read read(bool all_tokens) const {
    const bool taps = !params.taps.blocks.empty() || !params.taps.attention.empty();
    return all_tokens || taps ? model::Read::all : model::tokens_of(params.pool);
  }
  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }

  bool tokens_read_ = true;
};

FLOWRUN_NODE(EncodeImages);

}  // namespace
}  // namespace flowrun
