#include "nodes/lib/tensor/types/mask_rows.h"
namespace flowrun {

const Choices& TargetRows::choices() {
  static const Choices choices = {"targets", "hidden", "visible"};
  return choices;
}

Tensor TargetRows::index(const DeviceMasks& masks) const {
  if (regions()) return masks.targets_BRM;
  const Tensor places = rows == "hidden" ? masks.hidden_n() : masks.visible_n();
  if (masks.repeats == 1) return places;
  const int64_t patches = masks.grid * masks.grid;
  return places.div(patches * masks.repeats, "floor").mul(patches).add(places.remainder(patches));
}

Planned TargetRows::planned(const PlannedGroup& group, double values) const {
  const MaskCounts& masks = group.masks;
  Planned out = regions() ? Planned::of({group.rows, masks.regions, masks.patches, values}, "float32", 4)
                          : Planned::of({1, 1, group.rows * (rows == "hidden" ? masks.hidden : masks.visible), values}, "float32", 4);
  out.width = values;
  return out;
}

}  // namespace flowrun
