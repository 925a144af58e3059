#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/loss/stage_loss.h"
#include "nodes/lib/tensor/metric/cells.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct ForegroundHint {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.foreground_hint",
       .brief = "Squared difference between the maps of student and teacher in and around objects: fine-grained feature imitation, with label maps "
                "in place of boxes.",
       .details =
           "Sum over foreground places and channels of (s - t)², divided by twice the number of these places, summed over maps, in float32 (after "
           "Wang et al., 2019, whose places lie near boxes). A place is foreground if it holds a pixel of another class than background's, or lies "
           "within reach of one that does. Maps of one size; maps.regress stands before the student's."});
  struct Ports {
    In<FeatureMaps> student{"student", "From maps.regress."};
    In<FeatureMaps> teacher{"teacher", "As many of the teacher's, without gradient."};
    In<DeviceLabelMaps> label_map{"label_map", "B H W u8, of the same pictures."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(student, teacher, label_map, loss); }
  };
  struct Params : loss::Weight {
    std::vector<int64_t> background = {0};
    int64_t reach = 1;
    void describe(auto& param) {
      param("background", background, Range{0, 254}, "Classes that are no objects.");
      param("reach", reach, Range{0, 64}, "How many places around an object count with it.");
      Weight::describe(param);
    }
  };
  Params params;

  void plan(NodePlan& plan) const { loss::check_stage_maps(plan, loss::Channels::equal); }

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    loss::require_stage_maps(*port.student, *port.teacher);
    const Tensor& labels = port.label_map->maps_BHW;
    if (!labels.defined()) throw NodeError("there are no label maps: connect label_map from image.label_resize to batch.stack and device.upload");
    Tensor sum;
    for (size_t i = 0; i < port.student->maps_BCHW.size(); ++i) {
      const Tensor student = at_least_float(port.student->maps_BCHW[i]), teacher = at_least_float(port.teacher->maps_BCHW[i].detach());
      if (student.sizes() != teacher.sizes() || labels.size(0) != student.size(0)) {
        throw NodeError("the student's maps, the teacher's and the label maps must be of the same pictures and, of both networks, of one size");
      }
      const Tensor mask = eval::foreground(labels, student.size(2), student.size(3), {params.background, params.reach});
      const Tensor value = student.sub(teacher).square().mul(mask).sum().div(mask.sum().mul(2).clamp_min(1));
      sum = sum.defined() ? sum.add(value) : value;
    }
    params.give(sum, context, *port.loss);
  }
};

FLOWRUN_NODE(ForegroundHint);

}  // namespace
}  // namespace flowrun
