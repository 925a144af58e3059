#include <ATen/core/grad_mode.h>
#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/staged.h"
#include "nodes/lib/tensor/types/feature_maps.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct EncodeMaps {
  static constexpr NodeInfo info{
      .type = "encode.maps",
      .brief = "The rest of a network on the maps of another's stage: several branches behind one trunk.",
      .scope = Scope::device,
      .details =
          "The model is a model.resnet with stages, of which the first is not the stem; it takes the map of the stage before. Gradients go "
          "back to the trunk. Batch norms are those of encode.images.",
      .repeats = true};
  struct Ports {
    In<FeatureMaps> maps{"maps", "With the map of the stage before the model's first."};
    Out<Vectors> vectors{"vectors", "B D: the mean over the last map."};
    Out<FeatureMaps> out{"maps", "The map of the model's last stage."};
    void describe(auto& port) { port(maps, vectors, out); }
  };
  struct Params : model::PassParams {
    Ref<model::Encoder> model;
    void describe(auto& param) {
      param.reads("model", model, "The branch.");
      PassParams::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const auto* const branch = dynamic_cast<const model::Staged*>(&*params.model);
    if (branch == nullptr || branch->branches_from().stage == 0) {
      plan.fault("model", no_branch(), "set its stages, the first of them not 1");
      return;
    }
    const StageShape from = branch->branches_from();
    const Planned maps = plan.known("maps");
    const std::vector<StageShape> known = FeatureMaps::planned_stages(maps);
    const auto found = std::find_if(known.begin(), known.end(), [&](const StageShape& at) { return at.stage == from.stage; });
    if (maps.rows > 0 && found == known.end()) plan.fault("maps", missing(from.stage), hint);
    if (found != known.end() && found->channels != from.channels) {
      plan.fault("maps",
                 "the map of stage " + std::to_string(from.stage) + " has " + count_text(found->channels) + " channels, but " +
                     params.model.names[0] + " takes " + count_text(from.channels),
                 "trunk and branch need the same arch and width");
    }
    const double images = maps.rows > 0 ? maps.rows : plan.group.images;
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, element = plan.group.element](const MaskCounts&) {
                             return model.cost({.whole = true, .element = element}).value_or(Cost());
                           }});
    plan.out["vectors"] = Vectors::planned(images, static_cast<double>(params.model->shape().width));
    plan.out["maps"] = FeatureMaps::planned(images, {branch->stages(0).back()});
  }

  /// A recording would leave out the statistics of batch norms, which the host keeps.
  int64_t variant(const GroupContext&) const { return measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const auto* const branch = dynamic_cast<const model::Staged*>(&*params.model);
    if (branch == nullptr || branch->branches_from().stage == 0) throw NodeError(no_branch());
    const FeatureMaps& in = *port.maps;
    const int64_t from = branch->branches_from().stage;
    const auto found = std::find(in.stages.begin(), in.stages.end(), from);
    if (found == in.stages.end()) throw NodeError(missing(from) + ": " + hint);
    const Tensor& map = in.maps_BCHW[static_cast<size_t>(found - in.stages.begin())];
    const auto pass = [&](const Tensor& of_view, const model::NormPass& norm) { return branch->encode_map(of_view, {.norm = norm}); };
    const Tensor out = model::for_each_view(map, params.statistics == "batch" ? 1 : in.views, measures(), context, pass);
    *port.vectors = {.values_nD = out.flatten(2).to(at::kFloat).mean(2), .views = in.views, .image_n = {}, .images = out.size(0)};
    *port.out = {.maps_BCHW = {out}, .stages = {branch->stages(0).back().stage}, .views = in.views};
  }

 private:
  static constexpr const char* hint = "name it in stages of the encode.images that makes the maps";

  std::string no_branch() const { return params.model.names[0] + " takes pictures, not maps"; }
  std::string missing(int64_t stage) const {
    return params.model.names[0] + " takes the map of stage " + std::to_string(stage) + ", which does not come in";
  }
  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }
};

FLOWRUN_NODE(EncodeMaps);

}  // namespace
}  // namespace flowrun
