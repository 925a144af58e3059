#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/map_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"
#include "nodes/lib/tensor/model/regressor.h"

namespace flowrun {
namespace {

struct MapsRegress {
  static constexpr NodeInfo info{.type = "maps.regress",
                                 .brief = "The maps of one stage through a model.regressor, so that their channels are those of a teacher's stage.",
                                 .scope = Scope::device,
                                 .details =
                                     "It picks the regressor's stage among the maps that come in. A list of regressors makes as many maps, in its "
                                     "order. Batch norms are those of encode.images.",
                                 .repeats = true};
  struct Ports {
    In<FeatureMaps> maps{"maps", "From encode.images with stages."};
    Out<FeatureMaps> out{"maps", "One map of each regressor."};
    void describe(auto& port) { port(maps, out); }
  };
  struct Params : model::PassParams {
    Ref<model::Regressor> model;
    void describe(auto& param) {
      param.reads("model", model, "The regressor, or a list of them.", /*many=*/true);
      PassParams::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const double images = plan.group.images;
    std::vector<StageShape> out;
    for (size_t m = 0; m < params.model.size(); ++m) {
      const model::RegressorConfig& config = params.model[m].config();
      const std::optional<StageShape> at = model::check_map(plan, config.stage, config.in, params.model.names[m]);
      if (!at) continue;
      out.push_back({config.stage, static_cast<double>(config.out), at->side});
      const double places = at->side * at->side, of_each = plan.known("maps").rows / images;
      plan.passes.push_back({params.model.names[m], params.train,
                             [&model = params.model[m], places, of_each](const MaskCounts&) { return model.cost_of(places).times(of_each); }});
    }
    plan.out["maps"] = out.size() == params.model.size() ? FeatureMaps::planned(images, out) : Planned();
  }

  /// A recording would leave out the statistics of batch norms, which the host keeps.
  int64_t variant(const GroupContext&) const {
    for (size_t m = 0; m < params.model.size(); ++m) {
      if (measures(m)) return -1;
    }
    return 0;
  }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const FeatureMaps& in = *port.maps;
    port.out->maps_BCHW.clear(), port.out->stages.clear();
    for (size_t m = 0; m < params.model.size(); ++m) {
      const model::Regressor& regressor = params.model[m];
      const Tensor& map = model::require_map(in, regressor.config().stage, regressor.config().in, params.model.names[m]);
      const auto pass = [&](const Tensor& of_view, const model::NormPass& norm) { return regressor.apply(of_view, norm); };
      port.out->maps_BCHW.push_back(model::for_each_view(map, params.statistics == "batch" ? 1 : in.views, measures(m), context, pass));
      port.out->stages.push_back(regressor.config().stage);
    }
    port.out->views = in.views;
  }

 private:
  bool measures(size_t m) const { return model::measures(params.model[m], params.statistics, params.train); }
};

FLOWRUN_NODE(MapsRegress);

}  // namespace
}  // namespace flowrun
