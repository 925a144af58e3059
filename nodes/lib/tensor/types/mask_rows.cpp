#include "nodes/lib/tensor/types/mask_rows.h"
namespace flowrun {

const Choices& TargetRows::choices() {
  static const Choices choices = {"targets", "context", "hidden", "visible"};
  return choices;
}

Tensor TargetRows::index(const DeviceMasks& masks) const {
  if (rows == "targets") return masks.targets_BRM;
  if (rows == "context") return masks.visible_BK.unsqueeze(1);
  Tensor places = rows == "hidden" ? masks.hidden_n() : masks.visible_n();
  if (masks.repeats == 1) return places;
  const int64_t patches = masks.grid * masks.grid;
  return places.div(patches * masks.repeats, "floor").mul(patches).add(places.remainder(patches));
}

Planned TargetRows::planned(const PlannedGroup& group, double values) const {
  const MaskCounts& masks = group.masks;
  const auto of = [&](double rows, double regions, double patches) { return Planned::of({rows, regions, patches, values}, "float32", 4); };
  Planned out = rows == "targets"   ? of(group.rows, masks.regions, masks.patches)
                : rows == "context" ? of(group.rows, 1, masks.visible)
                                    : of(1, 1, group.rows * (rows == "hidden" ? masks.hidden : masks.visible));
  out.width = values;
  return out;
}

}  // namespace flowrun
