// Arrays of the types that group records hold on the host.
#include "graph/contract/arrays.h"
#include "nodes/lib/host/types/grids.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/matches.h"
#include "nodes/lib/host/types/sample_ids.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun {
namespace {

using Element = ArrayView::Element;
using Arrays = std::vector<ArrayView>;

/// {rows, each...}: of several views `each` has one axis more in front.
std::vector<int64_t> shape_of(int64_t rows, int64_t views, std::vector<int64_t> each) {
  std::vector<int64_t> out{rows};
  if (views > 1) out = {rows / views, views};
  out.insert(out.end(), each.begin(), each.end());
  return out;
}

Arrays of(ImageBatch& batch) {
  if (batch.images == 0 || batch.height == 0) return {};
  return {{"", Element::u8, shape_of(batch.images, batch.views, {batch.height, batch.width, batch.channels}), batch.pixels.data()}};
}

Arrays of(LabelMapBatch& batch) {
  if (batch.images == 0 || batch.height == 0) return {};
  return {{"", Element::u8, {batch.images, batch.height, batch.width}, batch.pixels.data()}};
}

Arrays of(LabelBatch& batch) {
  if (batch.values.empty()) return {};
  return {{"", Element::i64, {static_cast<int64_t>(batch.values.size())}, batch.values.data()}};
}

Arrays of(SampleIds& ids) {
  if (ids.rows == 0) return {};
  std::vector<int64_t> shape{ids.rows};
  if (ids.each > 1) shape.push_back(ids.each);
  return {{"", Element::i64, std::move(shape), ids.values.data()}};
}

Arrays of(Masks& masks) {
  if (masks.rows() == 0) return {};
  Arrays out;
  if (masks.visible_count > 0) out.push_back({"visible", Element::i64, {masks.rows(), masks.visible_count}, masks.visible.data()});
  if (masks.region_size > 0) out.push_back({"targets", Element::i64, {masks.rows(), masks.regions, masks.region_size}, masks.targets.data()});
  if (!masks.map.empty()) out.push_back({"hidden", Element::boolean, {masks.rows(), int64_t{masks.grid} * masks.grid}, masks.map.data()});
  return out;
}

Arrays of(MatchBatch& matches) {
  if (matches.pictures == 0 || matches.from.empty()) return {};
  const int64_t pairs = matches.layout.pairs(), rows = matches.layout.rows;
  return {{"from", Element::i64, {matches.pictures, pairs, rows}, matches.from.data()},
          {"to", Element::i64, {matches.pictures, pairs, rows, 4}, matches.to.data()},
          {"weights", Element::f32, {matches.pictures, pairs, rows, 4}, matches.weights.data()},
          {"valid", Element::boolean, {matches.pictures, pairs, rows}, matches.valid.data()}};
}

Arrays of(TextBatch& batch) {
  if (batch.texts == 0 || batch.ids.empty()) return {};
  return {{"ids", Element::i64, {batch.texts, batch.length}, batch.ids.data()}, {"ends", Element::i64, {batch.texts}, batch.ends.data()}};
}

Arrays of(GridBatch& batch) {
  if (batch.grids == 0) return {};
  return {{"", Element::f32, shape_of(batch.grids, batch.views, {batch.height, batch.width, batch.channels}), batch.values.data()}};
}

template <class T>
void list() {
  register_arrays(T::type_name, [](void* value) { return of(*static_cast<T*>(value)); });
}

[[maybe_unused]] const bool listed = [] {
  list<ImageBatch>(), list<LabelMapBatch>(), list<LabelBatch>(), list<SampleIds>();
  list<Masks>(), list<MatchBatch>(), list<TextBatch>(), list<GridBatch>();
  return true;
}();

}  // namespace
}  // namespace flowrun
