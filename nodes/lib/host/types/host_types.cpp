// Descriptions of the values of the host, for `flowrun replay` and `flowrun plan`.
#include "nodes/lib/host/types/host_types.h"

#include <algorithm>
#include <initializer_list>

#include "graph/contract/rng.h"
#include "graph/contract/shown.h"

namespace flowrun {
namespace {

template <class T>
uint64_t hash_of(const std::vector<T>& items, uint64_t seed = 0) {
  return hash_bytes(items.data(), items.size() * sizeof(T), seed);
}

void show_pixels(Shown& out, const uint8_t* values, int height, int width, int channels, int views) {
  Shown::Pixels& pixels = out.pixels.emplace(Shown::Pixels{});
  pixels.height = height, pixels.width = width, pixels.channels = channels, pixels.views = views;
  const auto size = static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels) * static_cast<size_t>(views);
  if (size > 0) pixels.values.assign(values, values + size);
  out.content = hash_of(pixels.values);
  if (views > 1) out.text = std::to_string(views) + " views of ";
  out.text += std::to_string(height) + " x " + std::to_string(width);
  if (channels > 1) out.text += " x " + std::to_string(channels);
}

void show_part(Shown& out, const ImageBatch& batch, int64_t place) {
  if (batch.images == 0) return show_pixels(out, nullptr, 0, 0, batch.channels, 1);
  show_pixels(out, batch.view(place * batch.views).pixels, batch.height, batch.width, batch.channels, batch.views);
}

Planned pictures(std::initializer_list<double> axes, const PlannedGroup& group) {
  Planned out;
  if (group.side == 0) {
    out.text = "as the file and the region are";
    return out;
  }
  out = Planned::of(axes, "uint8", 1);
  return out;
}

/// XXH3 of the lists of these rows.
uint64_t hash_of_rows(const Masks& masks, int64_t first, int64_t count) {
  const auto part = [&](const auto& from, int64_t width, uint64_t seed) {
    using Item = typename std::remove_cvref_t<decltype(from)>::value_type;
    if (from.empty()) return hash_bytes(from.data(), 0, seed);
    return hash_bytes(from.data() + first * width, static_cast<size_t>(count * width) * sizeof(Item), seed);
  };
  const uint64_t visible = part(masks.visible, masks.visible_count, 0);
  return part(masks.map, static_cast<int64_t>(masks.grid) * masks.grid, part(masks.targets, masks.regions * masks.region_size, visible));
}

}  // namespace

void Bytes::show(Shown& out, int64_t, int64_t) const {
  out.text = std::to_string(data.size()) + " bytes";
  out.content = hash_of(data);
  out.file = data;
}
void Bytes::plan(const PlannedGroup& group, Planned& out) { out.text = "a file", out.bytes = group.file_bytes; }

void Label::show(Shown& out, int64_t, int64_t) const {
  if (!views.empty()) {
    for (const int64_t of_view : views) out.text += (out.text.empty() ? "classes " : ", ") + std::to_string(of_view);
    out.content = hash_of(views);
    out.details = {{"labels", views}};
    return;
  }
  out.text = "class " + std::to_string(value);
  out.content = hash_bytes(&value, sizeof value);
  out.details = {{"label", value}};
  out.empty = value < 0;
}
void Label::plan(const PlannedGroup&, Planned& out) { out = Planned::of({1}, "int64", 8); }

void Region::show(Shown& out, int64_t, int64_t) const {
  const std::vector<io::Rect> all = views.empty() ? std::vector{rect} : views;
  Shown::Boxes& boxes = out.boxes.emplace(Shown::Boxes{});
  boxes.oriented = oriented;
  auto listed = nlohmann::ordered_json::array();
  for (const io::Rect& box : all) {
    out.text += (out.text.empty() ? "" : "; ") + std::to_string(box.height) + " x " + std::to_string(box.width) + " at y " + std::to_string(box.y) +
                ", x " + std::to_string(box.x);
    listed.push_back({{"x", box.x}, {"y", box.y}, {"width", box.width}, {"height", box.height}});
    boxes.boxes.push_back({box.y, box.x, box.height, box.width});
  }
  if (oriented) out.text += " (turned by EXIF)";
  out.content = hash_of(all, oriented);
  out.details = {{"boxes", listed}, {"oriented", oriented}};
}
void Region::plan(const PlannedGroup& group, Planned& out) {
  out.text = group.views > 1 ? count_text(group.views) + " rectangles" : "a rectangle";
  out.bytes = group.views * 16;
}

void Image::show(Shown& out, int64_t, int64_t) const {
  show_pixels(out, pixels.pixels.data(), pixels.height, pixels.width, pixels.channels, pixels.views);
  out.is_picture = true;
}
void Image::plan(const PlannedGroup& group, Planned& out) {
  out = group.views > 1 ? pictures({group.views, group.side, group.side, 3}, group) : pictures({group.side, group.side, 3}, group);
  out.side = group.side;
}

void ImageBatch::show(Shown& out, int64_t place, int64_t) const {
  show_part(out, *this, place);
  out.is_picture = true;
}
void ImageBatch::plan(const PlannedGroup& group, Planned& out) {
  out = Planned::of({group.images, group.side, group.side, 3}, "uint8", 1);
  out.side = group.side;
}

void LabelMap::show(Shown& out, int64_t, int64_t) const {
  show_pixels(out, pixels.pixels.data(), pixels.height, pixels.width, pixels.channels, pixels.views);
  out.empty = pixels.height == 0;
}
void LabelMap::plan(const PlannedGroup& group, Planned& out) {
  out = group.views > 1 ? pictures({group.views, group.side, group.side, 1}, group) : pictures({group.side, group.side, 1}, group);
}

void LabelMapBatch::show(Shown& out, int64_t place, int64_t) const {
  show_part(out, *this, place);
  out.empty = images == 0 || height == 0;
}
void LabelMapBatch::plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images, group.side, group.side, 1}, "uint8", 1); }

void LabelBatch::show(Shown& out, int64_t place, int64_t samples) const {
  const auto views = static_cast<int64_t>(values.size()) / samples;
  out.empty = views == 0;
  if (views == 0) return;
  const auto first = values.begin() + place * views, last = first + views;
  const bool alike = std::all_of(first, last, [&](int64_t value) { return value == *first; });
  Label{*first, alike ? std::vector<int64_t>() : std::vector<int64_t>(first, last)}.show(out, 0, 1);
}
void LabelBatch::plan(const PlannedGroup& group, Planned& out) { out = Planned::of({group.images}, "int64", 8); }

ShownMask Masks::shown(int64_t row) const {
  const auto patches = static_cast<size_t>(grid) * static_cast<size_t>(grid);
  ShownMask out{grid, std::vector<bool>(patches), std::vector<std::vector<int>>(patches)};
  if (!map.empty()) {
    for (size_t p = 0; p < patches; ++p) {
      out.visible[p] = !map[static_cast<size_t>(row) * patches + p];
      if (!out.visible[p]) out.regions[p].push_back(0);
    }
    return out;
  }
  for (int64_t k = 0; k < visible_count; ++k) {
    out.visible[static_cast<size_t>(visible[static_cast<size_t>(row * visible_count + k)])] = true;
  }
  const int64_t* index = targets.data() + row * regions * region_size;
  for (int64_t r = 0; r < regions; ++r) {
    for (int64_t m = 0; m < region_size; ++m) out.regions[static_cast<size_t>(*index++)].push_back(static_cast<int>(r));
  }
  return out;
}

void Masks::show(Shown& out, int64_t place, int64_t samples) const {
  const int64_t count = images / samples * repeats, first = place * count;
  auto listed = nlohmann::ordered_json::array();
  for (int64_t row = first; row < first + count; ++row) {
    const ShownMask& mask = out.masks.emplace_back(shown(row));
    const auto seen = std::count(mask.visible.begin(), mask.visible.end(), true);
    const auto targets = std::count_if(mask.regions.begin(), mask.regions.end(), [](const std::vector<int>& in) { return !in.empty(); });
    out.text += (out.text.empty() ? "" : "; ") + std::to_string(seen) + " visible, " + std::to_string(targets) + " targets";
    listed.push_back({{"visible", seen}, {"targets", targets}});
  }
  out.text += " of " + std::to_string(grid * grid) + " patches";
  out.content = hash_of_rows(*this, first, count);
  out.details = {{"grid", grid}, {"masks", listed}};
  out.repeats = repeats;
}
int64_t Masks::order(std::vector<int64_t>& all) const {
  const auto patches = static_cast<size_t>(grid) * static_cast<size_t>(grid), count = static_cast<size_t>(rows()) * patches;
  std::vector<uint8_t> from_lists;
  if (map.empty()) {
    from_lists.assign(count, 1);
    for (size_t i = 0; i < visible.size(); ++i) {
      from_lists[i / static_cast<size_t>(visible_count) * patches + static_cast<size_t>(visible[i])] = 0;
    }
  }
  const std::vector<uint8_t>& is_hidden = map.empty() ? from_lists : map;
  const auto shown = static_cast<size_t>(std::count(is_hidden.begin(), is_hidden.end(), uint8_t{0}));
  all.resize(count);
  for (size_t i = 0, hidden_at = 0, visible_at = count - shown; i < count; ++i)
    all[is_hidden[i] != 0 ? hidden_at++ : visible_at++] = static_cast<int64_t>(i);
  return static_cast<int64_t>(count - shown);
}

double Masks::hidden_of_each() const {
  if (map.empty()) return static_cast<double>(int64_t{grid} * grid - visible_count);
  return static_cast<double>(map.size() - static_cast<size_t>(std::count(map.begin(), map.end(), uint8_t{0}))) / static_cast<double>(rows());
}

void Masks::plan(const PlannedGroup& group, Planned& out) {
  if (!group.has_masks) {
    out.text = "none", out.bytes = 0;
    return;
  }
  out = Planned::both("visible", Planned::of({group.rows, group.masks.visible}, "int64", 8), "targets",
                      Planned::of({group.rows, group.masks.regions, group.masks.patches}, "int64", 8));
}

}  // namespace flowrun
