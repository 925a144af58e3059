#include "nodes/lib/tensor/model/map_masks.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"
#include "nodes/lib/tensor/model/regressor.h"

namespace flowrun {
namespace {

struct MapMasksModel {
  static constexpr ModelInfo info{
      .type = "model.map_masks",
      .brief = "Masks of places and of channels, learned from what a student's map asks of its teacher's: ACAM-KD.",
      .kind = "map masks",
      .details =
          "Cross attention from the student's places to the teacher's; each mask is the sigmoid of a linear layer. loss.masked_maps applies it; "
          "the optimizer that trains the student must list it."};
  struct Params {
    Ref<model::Regressor> of;
    int64_t masks = 6, reduced = 64;
    void describe(auto& param) {
      param.reads("of", of, "The regressor before the student's map; gives the channels.");
      param("masks", masks, Range{1, 1024}, "How many of places, and as many of channels.");
      param("reduced", reduced, positive, "Width of the attention.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto masks = std::make_unique<model::MapMasks>(
        model::MapMasksConfig{.channels = params.of->config().out, .reduced = params.reduced, .masks = params.masks});
    begin(*masks, context);
    return masks;
  }
};

FLOWRUN_MODULE(MapMasksModel);

}  // namespace
}  // namespace flowrun
