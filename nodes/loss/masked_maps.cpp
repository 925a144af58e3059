#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/loss/masked.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/model/map_masks.h"

namespace flowrun {
namespace {

struct MaskedMaps {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.masked_maps",
       .brief = "Squared difference between the maps of student and teacher under learned masks of places and channels: ACAM-KD.",
       .details = "Squared differences under each mask of a model.map_masks, divided by the mask's sum, the mean over masks, for places and for "
                  "channels; plus how much the masks overlap (Dice), so that each looks elsewhere. In float32. One stage, behind maps.regress."});
  struct Ports {
    In<FeatureMaps> student{"student", "One map, from maps.regress."};
    In<FeatureMaps> teacher{"teacher", "One map of the teacher's, without gradient."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, loss); }
  };
  struct Params : loss::Weight {
    Ref<model::MapMasks> model;
    double space = 1, channels = 1, diversity = 0.1;
    void describe(auto& param) {
      param.reads("model", model, "The model.map_masks.");
      param("space", space, not_negative, "Weight of the masks of places.");
      param("channels", channels, not_negative, "Weight of the masks of channels.");
      param("diversity", diversity, not_negative, "Weight of their overlap.");
      Weight::describe(param);
    }
    std::optional<ParamFault> check() const {
      if (space == 0 && channels == 0) return ParamFault{"space", "space and channels are both 0, so nothing is compared"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const { loss::check_stage_maps(plan, loss::Channels::equal); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    if (port.student->maps_BCHW.size() != 1 || port.teacher->maps_BCHW.size() != 1) throw NodeError("connect one map of each network");
    const Tensor student = places(port.student->maps_BCHW[0]), teacher = places(port.teacher->maps_BCHW[0]).detach();
    if (student.sizes() != teacher.sizes() || student.size(2) != params.model->config().channels) {
      throw NodeError("the student's map must be of the teacher's size and channels, and of those of " + params.model.names[0]);
    }
    const model::MapMasks::Masks masks = params.model->of(student, teacher);
    const Tensor differences = loss::masked_places(student, teacher, masks.space_BMP)
                                   .mul(params.space)
                                   .add(loss::masked_channels(student, teacher, masks.channel_BMC), params.channels);
    const Tensor overlaps = loss::overlap(masks.space_BMP).add(loss::overlap(masks.channel_BMC));
    params.give(differences.add(overlaps, params.diversity), context, *port.loss);
  }

 private:
  static Tensor places(const Tensor& map_BCHW) { return map_BCHW.flatten(2).transpose(1, 2); }
};

FLOWRUN_NODE(MaskedMaps);

}  // namespace
}  // namespace flowrun
