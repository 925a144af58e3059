#include "nodes/lib/tensor/model/factors.h"

#include <ATen/core/grad_mode.h>

#include "graph/node.h"
#include "nodes/lib/tensor/model/map_inputs.h"
#include "nodes/lib/tensor/model/norm_passes.h"

namespace flowrun {
namespace {

struct MapsFactors {
  static constexpr NodeInfo info{
      .type = "maps.factors",
      .brief = "The map of one stage as factors: fewer channels, by which a paraphraser describes a teacher's map and a translator a student's.",
      .scope = Scope::device,
      .details =
          "Of factor transfer (Kim et al., 2018). It picks the model's stage among the maps that come in. With rebuild the factors go back to a "
          "map like the one that came in: loss.hint between both trains a paraphraser. loss.attention_map compares the factors of both "
          "networks. Batch norms are those of encode.images.",
      .repeats = true};
  struct Ports {
    In<FeatureMaps> maps{"maps", "From encode.images with stages."};
    Out<FeatureMaps> out{"maps", "One map."};
    void describe(auto& port) { port(maps, out); }
  };
  struct Params : model::PassParams {
    Ref<model::Factors> model;
    bool rebuild = false;
    void describe(auto& param) {
      param.reads("model", model, "A model.paraphraser or model.translator.");
      param("rebuild", rebuild, "Whether a map comes out that the factors rebuild, in place of the factors; a paraphraser does so.");
      PassParams::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const model::FactorsConfig& config = params.model->config();
    if (params.rebuild && !config.rebuilds) plan.fault("rebuild", no_way_back(), hint);
    const std::optional<StageShape> at = model::check_map(plan, config.stage, config.in, params.model.names[0]);
    if (!at) return;
    const int64_t channels = params.rebuild ? config.in : config.out;
    const double images = plan.group.images;
    plan.out["maps"] = FeatureMaps::planned(images, {{config.stage, static_cast<double>(channels), at->side}});
    const double places = at->side * at->side, of_each = plan.known("maps").rows / images;
    plan.passes.push_back({params.model.names[0], params.train, [&model = *params.model, places, of_each, back = params.rebuild](const MaskCounts&) {
                             return model.cost_of(places, back).times(of_each);
                           }});
  }

  /// A recording would leave out the statistics of batch norms, which the host keeps.
  int64_t variant(const GroupContext&) const { return measures() ? -1 : 0; }

  void run(Ports& port, const GroupContext& context) const {
    const at::AutoGradMode gradients(params.train && at::GradMode::is_enabled());
    const model::Factors& model = *params.model;
    if (params.rebuild && !model.config().rebuilds) throw NodeError(no_way_back() + ": " + hint);
    const FeatureMaps& in = *port.maps;
    const Tensor& map = model::require_map(in, model.config().stage, model.config().in, params.model.names[0]);
    const auto pass = [&](const Tensor& of_view, const model::NormPass& norm) {
      return params.rebuild ? model.rebuilt(of_view, norm) : model.factors(of_view, norm);
    };
    port.out->maps_BCHW = {model::for_each_view(map, params.statistics == "batch" ? 1 : in.views, measures(), context, pass)};
    port.out->stages = {model.config().stage};
    port.out->views = in.views;
  }

 private:
  static constexpr const char* hint = "give this node a model.paraphraser, or set rebuild to false";

  std::string no_way_back() const { return params.model.names[0] + " has no way back from factors to maps"; }
  bool measures() const { return model::measures(*params.model, params.statistics, params.train); }
};

FLOWRUN_NODE(MapsFactors);

}  // namespace
}  // namespace flowrun
