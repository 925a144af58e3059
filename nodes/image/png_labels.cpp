#include <algorithm>
#include <array>
#include <optional>

#include "graph/node.h"
#include "io/codec/png.h"
#include "nodes/lib/host/image/colour_table.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct PngLabels {
  static constexpr NodeInfo info{
      .type = "image.png_labels",
      .brief = "Decodes a PNG to the class of each pixel.",
      .scope = Scope::sample,
      .details =
          "Gray values and palette indices are the classes, or map translates them; RGB needs a table of colours, one \"class red green blue\" a "
          "line. Classes that count as unlabelled become 255, which stands for no class everywhere. Truncated and corrupt files are errors."};
  struct Ports {
    In<Bytes> labels{"labels", "A PNG file."};
    Out<LabelMap> label_map{"label_map", "H W u8, 255 where there is no class."};
    void describe(auto& port) { port(labels, label_map); }
  };
  struct Params {
    std::string colors;
    std::vector<int64_t> ignore, map;
    int64_t max_megapixels = 178;
    void describe(auto& param) {
      param("colors", colors, "Text file of the classes that RGB colours stand for; empty: the PNG holds classes.");
      param("map", map, Range{0, 255}, "Pairs of numbers: a value of the file, and its class. [255, 1]: masks of 0 and 255.");
      param("ignore", ignore, Range{0, 255}, "Classes that count as unlabelled, after map.");
      param("max_megapixels", max_megapixels, positive, "Larger pictures are an error, found before memory is allocated.");
    }
    std::optional<ParamFault> check() const {
      if (map.size() % 2 != 0) return ParamFault{"map", "map must consist of pairs: a value, and its class"};
      return {};
    }
  };
  Params params;

  void open(const OpenContext&) {
    if (!params.colors.empty()) table_ = image::ColourTable::read(params.colors);
    for (int value = 0; value < 256; ++value) becomes_[static_cast<size_t>(value)] = static_cast<uint8_t>(value);
    for (size_t i = 0; i < params.map.size(); i += 2) becomes_[static_cast<size_t>(params.map[i])] = static_cast<uint8_t>(params.map[i + 1]);
    for (uint8_t& value : becomes_) {
      if (std::find(params.ignore.begin(), params.ignore.end(), value) != params.ignore.end()) value = 255;
    }
  }

  void run(Ports& port, const SampleContext&) const {
    thread_local io::PixelBuffer decoded;
    io::decode_png_labels(port.labels->data, decoded, params.max_megapixels * 1'000'000);
    io::PixelBuffer& out = port.label_map->pixels;
    if (decoded.channels == 3 && !table_) throw NodeError("the label map is RGB: give the table of its colours as \"colors\"");
    if (decoded.channels == 3) {
      table_->apply(decoded.view(), out);
    } else {
      out.reshape(decoded.height, decoded.width, 1);
      std::copy(decoded.pixels.begin(), decoded.pixels.end(), out.pixels.begin());
    }
    for (uint8_t& value : out.pixels) value = becomes_[value];
  }

 private:
  std::optional<image::ColourTable> table_;
  std::array<uint8_t, 256> becomes_{};
};

FLOWRUN_NODE(PngLabels);

}  // namespace
}  // namespace flowrun
