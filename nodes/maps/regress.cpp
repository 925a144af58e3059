#include <ATen/core/grad_mode.h>
#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/regressor.h"
#include "nodes/lib/tensor/types/feature_maps.h"

namespace flowrun {
namespace {

struct MapsRegress {
  static constexpr NodeInfo info{.type = "maps.regress",
                                 .brief = "The maps of one stage through a model.regressor, so that their channels are those of a teacher's stage.",
                                 .scope = Scope::device,
                                 .details = "It picks the regressor's stage among the maps that come in. Batch norms are those of encode.images.",
                                 .repeats = true};
  struct Ports {
    In<FeatureMaps> maps{"maps", "From encode.images with stages."};
    Out<FeatureMaps> out{"maps", "One map."};
    void describe(auto& port) { port(maps, out); }
  };
  struct Params : model::PassParams {
    Ref<model::Regressor> model;
    void describe(auto& param) {
      param.reads("model", model, "The regressor.");
      PassParams::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned maps = plan.known("maps");
    const int64_t stage = params.model->config().stage;
    const double images = plan.group.images;
    std::vector<StageShape> out;
    for (const StageShape& at : FeatureMaps::planned_stages(maps)) {
      if (at.stage == stage) out.push_back({stage, static_cast<double>(params.model->config().out), at.side});
    }
    if (maps.rows > 0 && out.empty()) plan.fault("maps", missing(), hint());
    plan.out["maps"] = FeatureMaps::planned(images, out);
    if (out.empty()) return;
    const double places = out[0].side * out[0].side, of_each = maps.rows / images;
    plan.passes.push_back({params.model.names[0], params.train,
                           [&model = *params.model, places, of_each](const MaskCounts&) { return model.cost_of(places).times(of_each); }});
  }

  /// A recording would leave out the statistics of batch norms, which the host keeps.
  int64_t variant(const GroupContext&) const { return measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const FeatureMaps& in = *port.maps;
    const int64_t stage = params.model->config().stage;
    const auto found = std::find(in.stages.begin(), in.stages.end(), stage);
    if (found == in.stages.end()) throw NodeError(missing() + ": " + hint());
    const Tensor& map = in.maps_BCHW[static_cast<size_t>(found - in.stages.begin())];
    if (map.size(1) != params.model->config().in) {
      throw NodeError("the map of stage " + std::to_string(stage) + " has " + std::to_string(map.size(1)) + " channels, but " +
                      params.model.names[0] + " takes " + std::to_string(params.model->config().in));
    }
    const auto pass = [&](const Tensor& of_view, const model::NormPass& norm) { return params.model->apply(of_view, norm); };
    port.out->maps_BCHW = {model::for_each_view(map, params.statistics == "batch" ? 1 : in.views, measures(), context, pass)};
    port.out->stages = {stage};
    port.out->views = in.views;
  }

 private:
  std::string missing() const {
    return params.model.names[0] + " takes the map of stage " + std::to_string(params.model->config().stage) + ", which does not come in";
  }
  std::string hint() const { return "name it in stages of the encode.images that makes the maps"; }
  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }
};

FLOWRUN_NODE(MapsRegress);

}  // namespace
}  // namespace flowrun
