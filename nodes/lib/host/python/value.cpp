#include "nodes/lib/host/python/value.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun::python {
namespace {

void require(bool right, const char* what) {
  if (!right) throw FatalNodeError(std::string("Python gave no ") + what);
}

Array pack_pixels(const io::PixelBuffer& pixels, bool channels) {
  Array out{.element = Element::u8, .elsewhere = pixels.pixels.data()};
  if (pixels.views > 1) out.shape.push_back(pixels.views);
  out.shape.insert(out.shape.end(), {pixels.height, pixels.width});
  if (channels) out.shape.push_back(pixels.channels);
  return out;
}

/// Of [views] height width [channels].
void unpack_pixels(const Array& array, bool channels, io::PixelBuffer& out) {
  const size_t axes = array.shape.size(), each = channels ? 3 : 2;
  require(array.element == Element::u8 && (axes == each || axes == each + 1), "pixels");
  const int64_t* const size = array.shape.data() + (axes - each);
  out.reshape(static_cast<int>(size[0]), static_cast<int>(size[1]), channels ? static_cast<int>(size[2]) : 1,
              axes > each ? static_cast<int>(array.shape[0]) : 1);
  std::memcpy(out.pixels.data(), array.data(), array.bytes());
}

Array pack(const Image& image) { return pack_pixels(image.pixels, true); }
void unpack(const Array& array, const Image* like, Image& out) {
  unpack_pixels(array, true, out.pixels);
  out.covers = like != nullptr ? like->covers : Region{{0, 0, out.pixels.width, out.pixels.height}, true, {}};
}

Array pack(const LabelMap& map) { return pack_pixels(map.pixels, false); }
void unpack(const Array& array, const LabelMap*, LabelMap& out) { unpack_pixels(array, false, out.pixels); }

Array pack(const Label& label) {
  if (label.views.empty()) return {.element = Element::i64, .shape = {}, .elsewhere = &label.value};
  return {.element = Element::i64, .shape = {static_cast<int64_t>(label.views.size())}, .elsewhere = label.views.data()};
}
void unpack(const Array& array, const Label*, Label& out) {
  require(array.element == Element::i64 && array.shape.size() <= 1 && array.count() > 0, "label");
  const auto* const values = static_cast<const int64_t*>(array.data());
  out.value = values[0];
  out.views.assign(values, values + (array.shape.empty() ? 0 : array.count()));
}

Array pack(const Bytes& bytes) {
  return {.element = Element::u8, .shape = {static_cast<int64_t>(bytes.data.size())}, .elsewhere = bytes.data.data()};
}
void unpack(const Array& array, const Bytes*, Bytes& out) {
  require(array.element == Element::u8 && array.shape.size() == 1, "bytes");
  const auto* const values = static_cast<const uint8_t*>(array.data());
  out.data.assign(values, values + array.count());
}

Array pack(const Caption& caption) {
  Array out{.element = Element::text, .own = json_text(nlohmann::json(caption.texts))};
  out.shape = {static_cast<int64_t>(out.own.size())};
  return out;
}
void unpack(const Array& array, const Caption*, Caption& out) {
  require(array.element == Element::text, "caption");
  const auto* const text = static_cast<const char*>(array.data());
  const nlohmann::json list = nlohmann::json::parse(text, text + array.count(), nullptr, /*allow_exceptions=*/false);
  require(list.is_array(), "caption");
  out.texts.clear();
  for (const nlohmann::json& item : list) {
    require(item.is_string(), "caption");
    out.texts.push_back(item);
  }
}

Array pack(const Region& region) {
  std::vector<int64_t> rows;
  for (int i = 0; i < region.count(); ++i) {
    const io::Rect& rect = region.views.empty() ? region.rect : region.views[static_cast<size_t>(i)];
    rows.insert(rows.end(), {rect.x, rect.y, rect.width, rect.height});
  }
  return {.element = Element::i64,
          .shape = {region.count(), 4},
          .own = std::string(reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(int64_t))};
}

io::Rect around(const std::vector<io::Rect>& all) {
  int left = all[0].x, top = all[0].y, right = left + all[0].width, bottom = top + all[0].height;
  for (const io::Rect& one : all) {
    left = std::min(left, one.x), top = std::min(top, one.y);
    right = std::max(right, one.x + one.width), bottom = std::max(bottom, one.y + one.height);
  }
  return {left, top, right - left, bottom - top};
}

void unpack(const Array& array, const Region* like, Region& out) {
  require(array.element == Element::i64 && array.shape.size() == 2 && array.shape[0] > 0 && array.shape[1] == 4, "region");
  const auto* const values = static_cast<const int64_t*>(array.data());
  std::vector<io::Rect> all;
  for (int64_t i = 0; i < array.shape[0]; ++i) {
    const int64_t* const row = values + 4 * i;
    all.push_back({static_cast<int>(row[0]), static_cast<int>(row[1]), static_cast<int>(row[2]), static_cast<int>(row[3])});
  }
  const bool oriented = like != nullptr ? like->oriented : true;
  out.rect = around(all), out.oriented = oriented;
  out.views = all.size() > 1 ? std::move(all) : std::vector<io::Rect>();
}

template <class T>
ValueType value_type() {
  return {&type_ops<T>(), [](const void* value) { return pack(*static_cast<const T*>(value)); },
          [](const Array& array, const void* like, void* value) { unpack(array, static_cast<const T*>(like), *static_cast<T*>(value)); }};
}

}  // namespace

size_t size_of(Element element) { return element == Element::i64 ? sizeof(int64_t) : element == Element::none ? 0 : 1; }

int64_t Array::count() const {
  int64_t out = 1;
  for (const int64_t size : shape) out *= size;
  return out;
}

const ValueType* find_value_type(const std::string& name) {
  static const std::array types{value_type<Image>(), value_type<LabelMap>(), value_type<Label>(),
                                value_type<Bytes>(), value_type<Caption>(),  value_type<Region>()};
  for (const ValueType& type : types) {
    if (name == type.ops->name) return &type;
  }
  return nullptr;
}

}  // namespace flowrun::python
