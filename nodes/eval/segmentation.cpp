#include <ATen/core/grad_mode.h>
#include <cmath>

#include "graph/node.h"
#include "nodes/lib/tensor/metric/confusion.h"
#include "nodes/lib/tensor/metric/patches.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/device_types.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Segmentation {
  static constexpr NodeInfo info{
      .type = "eval.segmentation",
      .brief = "Segmentation by the scores of a network's places: mean IoU of all pixels, and the share that is right.",
      .scope = Scope::evaluation,
      .details =
          "All pixels of a place get the class with its highest score; the mean is over the classes that occur or are named. Reports miou and "
          "pixel_accuracy in 0..1. Nothing is chosen: the numbers are those of the weights as they stand."};
  struct Ports {
    In<Vectors> scores{"scores", "A row of classes for each place, behind tokens.rows with what \"all\" and a head."};
    In<DeviceLabelMaps> label_map{"label_map", "B H W u8."};
    void describe(auto& port) { port(scores, label_map); }
  };
  static std::vector<std::string> reports() { return {"miou", "pixel_accuracy"}; }

  void fold(Ports& port, const FoldContext&) {
    const at::NoGradGuard no_grad;
    const Tensor &scores = port.scores->values_nD, &maps = port.label_map->maps_BHW;
    if (!maps.defined()) throw NodeError("there are no label maps: connect label_map from image.label_resize to batch.stack and device.upload");
    const int64_t classes = scores.size(1), places = scores.size(0) / maps.size(0);
    if (port.label_map->range.most >= classes) {
      throw NodeError("a pixel is of class " + std::to_string(port.label_map->range.most) + ", but the network predicts classes 0 to " +
                      std::to_string(classes - 1));
    }
    const auto grid = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(places))));
    if (grid * grid * maps.size(0) != scores.size(0)) throw NodeError("the scores are not those of all places of these pictures");
    const Tensor pixels_nF = eval::cut_maps(maps, grid);
    const Tensor counts = eval::confusion(pixels_nF, scores.argmax(1).unsqueeze(1).expand_as(pixels_nF), classes);
    counts_ = counts_.defined() ? counts_.add(counts) : counts;
  }

  void run(Ports&, EvaluationContext& context) {
    // A rank may have had no group.
    const Tensor mine = counts_.defined() ? counts_.unsqueeze(0) : Tensor();
    const Tensor all = ranks::rows(context.run, mine, "gathering pixels").sum(0);
    const eval::SegmentScores scores = eval::segment_scores(all);
    context.report("miou", scores.miou);
    context.report("pixel_accuracy", scores.pixel_accuracy);
    counts_.reset();
  }

 private:
  Tensor counts_;  // [C, C]
};

FLOWRUN_NODE(Segmentation);

}  // namespace
}  // namespace flowrun
