#include "tools/flowrun/results/replay_values.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "graph/contract/rng.h"
#include "tools/flowrun/pipeline/mask_picture.h"

namespace flowrun::tool {
namespace {

template <class T>
const T* as(const TypeOps& type, const void* object) {
  return std::string_view(type.name) == T::type_name ? static_cast<const T*>(object) : nullptr;
}

io::PixelBuffer part_of(const ImageBatch& batch, int64_t place) {
  io::PixelBuffer out;
  if (batch.images == 0) return out;
  out.reshape(batch.height, batch.width, batch.channels, batch.views);
  std::copy_n(batch.view(place * batch.views).pixels, out.pixels.size(), out.pixels.begin());
  return out;
}

Masks part_of(const Masks& all, int64_t place, int64_t samples) {
  Masks out;
  out.grid = all.grid, out.images = all.images / samples, out.repeats = all.repeats;
  out.visible_count = all.visible_count, out.regions = all.regions, out.region_size = all.region_size;
  const auto rows = [&](const auto& from, auto& to, int64_t width) {
    if (from.empty()) return;
    const auto begin = from.begin() + place * out.rows() * width;
    to.assign(begin, begin + out.rows() * width);
  };
  rows(all.visible, out.visible, all.visible_count);
  rows(all.targets, out.targets, all.regions * all.region_size);
  rows(all.map, out.map, static_cast<int64_t>(all.grid) * all.grid);
  return out;
}

template <class T>
uint64_t hash_of(const std::vector<T>& items, uint64_t seed = 0) {
  return hash_bytes(items.data(), items.size() * sizeof(T), seed);
}

std::vector<io::Rect> boxes_of(const Region& region) { return region.views.empty() ? std::vector{region.rect} : region.views; }

std::string size_text(const io::PixelBuffer& pixels) {
  std::string text = pixels.views > 1 ? std::to_string(pixels.views) + " views of " : "";
  text += std::to_string(pixels.height) + " x " + std::to_string(pixels.width);
  return pixels.channels > 1 ? text + " x " + std::to_string(pixels.channels) : text;
}

struct Counts {
  int64_t visible, targets;  // patches
};

Counts counts_of(const Masks& masks, int64_t row) {
  const MaskExample mask = example_of(masks, row);
  return {std::count(mask.visible.begin(), mask.visible.end(), true),
          std::count_if(mask.regions.begin(), mask.regions.end(), [](const std::vector<int>& in) { return !in.empty(); })};
}

struct ShapeText {
  std::string operator()(const Other& other) const { return other.type; }
  std::string operator()(const Bytes& bytes) const { return std::to_string(bytes.data.size()) + " bytes"; }
  std::string operator()(const Label& label) const { return "class " + std::to_string(label.value); }
  std::string operator()(const Image& image) const { return size_text(image.pixels); }
  std::string operator()(const LabelMap& map) const { return size_text(map.pixels); }
  std::string operator()(const Region& region) const {
    std::string text;
    for (const io::Rect& box : boxes_of(region)) {
      text += (text.empty() ? "" : "; ") + std::to_string(box.height) + " x " + std::to_string(box.width) + " at y " + std::to_string(box.y) +
              ", x " + std::to_string(box.x);
    }
    return text + (region.oriented ? " (turned by EXIF)" : "");
  }
  std::string operator()(const Masks& masks) const {
    std::string text;
    for (int64_t row = 0; row < masks.rows(); ++row) {
      const Counts counts = counts_of(masks, row);
      text += (text.empty() ? "" : "; ") + std::to_string(counts.visible) + " visible, " + std::to_string(counts.targets) + " targets";
    }
    return text + " of " + std::to_string(masks.grid * masks.grid) + " patches";
  }
};

struct ContentHash {
  uint64_t operator()(const Other&) const { return 0; }
  uint64_t operator()(const Bytes& bytes) const { return hash_of(bytes.data); }
  uint64_t operator()(const Label& label) const { return hash_bytes(&label.value, sizeof label.value); }
  uint64_t operator()(const Region& region) const { return hash_of(boxes_of(region), region.oriented); }
  uint64_t operator()(const Image& image) const { return hash_of(image.pixels.pixels); }
  uint64_t operator()(const LabelMap& map) const { return hash_of(map.pixels.pixels); }
  uint64_t operator()(const Masks& masks) const { return hash_of(masks.map, hash_of(masks.targets, hash_of(masks.visible))); }
};

struct Details {
  using Json = nlohmann::ordered_json;
  Json operator()(const Label& label) const { return {{"label", label.value}}; }
  Json operator()(const Region& region) const {
    Json boxes = Json::array();
    for (const io::Rect& box : boxes_of(region)) boxes.push_back({{"x", box.x}, {"y", box.y}, {"width", box.width}, {"height", box.height}});
    return {{"boxes", boxes}, {"oriented", region.oriented}};
  }
  Json operator()(const Masks& masks) const {
    Json rows = Json::array();
    for (int64_t row = 0; row < masks.rows(); ++row) {
      const Counts counts = counts_of(masks, row);
      rows.push_back({{"visible", counts.visible}, {"targets", counts.targets}});
    }
    return {{"grid", masks.grid}, {"masks", rows}};
  }
  Json operator()(const auto&) const { return Json::object(); }
};

}  // namespace

SeenValue copy_of(const TypeOps& type, const void* object, int64_t place, int64_t samples) {
  if (const auto* bytes = as<Bytes>(type, object)) return *bytes;
  if (const auto* label = as<Label>(type, object)) return *label;
  if (const auto* region = as<Region>(type, object)) return *region;
  if (const auto* image = as<Image>(type, object)) return *image;
  if (const auto* map = as<LabelMap>(type, object)) return *map;
  if (const auto* batch = as<ImageBatch>(type, object)) return Image{part_of(*batch, place), {}};
  if (const auto* batch = as<LabelMapBatch>(type, object)) return LabelMap{part_of(*batch, place)};
  if (const auto* masks = as<Masks>(type, object)) return part_of(*masks, place, samples);
  if (const auto* labels = as<LabelBatch>(type, object)) {
    const size_t views = labels->values.size() / static_cast<size_t>(samples);
    if (views > 0) return Label{labels->values[static_cast<size_t>(place) * views]};
  }
  return Other{type.name};
}

bool has_content(const SeenValue& value) {
  if (const auto* label = std::get_if<Label>(&value)) return label->value >= 0;
  if (const auto* map = std::get_if<LabelMap>(&value)) return map->pixels.height > 0;
  return !std::holds_alternative<Other>(value) || std::get<Other>(value).type != LabelBatch::type_name;
}

std::string shape_of(const SeenValue& value) { return std::visit(ShapeText{}, value); }
uint64_t content_hash(const SeenValue& value) { return std::visit(ContentHash{}, value); }
nlohmann::ordered_json details_of(const SeenValue& value) { return std::visit(Details{}, value); }

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace flowrun::tool
