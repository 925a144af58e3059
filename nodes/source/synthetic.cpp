#include <algorithm>

#include "graph/node.h"
#include "io/codec/jpeg.h"
#include "nodes/lib/host/source/shapes.h"
#include "nodes/lib/host/source/textures.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/host/types/text_types.h"

namespace flowrun {
namespace {

struct Synthetic {
  static constexpr NodeInfo info{
      .type = "source.synthetic",
      .brief = "Drawn pictures of ten kinds, encoded as JPEG: a data set with labels and without files.",
      .scope = Scope::source,
      .details =
          "textures: gray stripes of three orientations and two periods, checks, dots, rings and blocks, with random phase, slight rotation, "
          "contrast, sign, brightness and grain. shapes: upright coloured objects (T, L, arrow, house, mug, fir, flag, face, key, moon) on a "
          "background of another brightness, slightly shifted, turned and stretched; for methods that learn from orientation, layout or colour, "
          "of which textures have none. In four of five pictures (own_hue) the hue is that of the class: evaluate on gray pictures "
          "(image.grayscale), where "
          "colour names no class. The caption of a shape names both, as \"a red flag\"; that of a texture is its class. A picture depends on kind, "
          "own_hue, "
          "size, seed, split and index alone, not on the run's seed; train and test never share "
          "one."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "A JPEG, of textures a gray one."};
    Out<Label> label{"label", "0 to 9, in rotation."};
    Out<Caption> caption{"caption", "What is drawn, in words."};
    Out<LabelMap> label_map{"label_map", "Class of each pixel, 0 to 9; 10 beside the object of shapes. A texture fills its picture."};
    void describe(auto& port) { port(bytes, label, caption, label_map); }
  };
  struct Params {
    int64_t images = 10000, size = 24, seed = 0, quality = 92;
    double own_hue = 0.8;
    std::string kind = "textures", split = "train";
    void describe(auto& param) {
      param("kind", kind, kinds(), "What is drawn: textures are gray, shapes are coloured objects.");
      param("images", images, positive, "How many there are.");
      param("size", size, Range{8, 1024}, "Side in pixels.");
      param("own_hue", own_hue, Range{0, 1},
            "Chance that a shape has the hue of its class; others have any hue. At 0 colour says nothing of the class.");
      param("split", split, splits(), "Which of two sets that share no picture.");
      param("seed", seed, any_seed, "Another seed is another data set.");
      param("quality", quality, Range{1, 100}, "Of the JPEG.");
    }
    static const Choices& kinds() {
      static const Choices choices = {"textures", "shapes"};
      return choices;
    }
    static const Choices& splits() {
      static const Choices choices = {"train", "test"};
      return choices;
    }
  };
  Params params;

  uint64_t size() const { return static_cast<uint64_t>(params.images); }
  std::string key(uint64_t sample) const {
    return "picture " + std::to_string(sample) + " of " + params.split + " (" + class_name(label(sample)) + ")";
  }

  SourceData data() const {
    SourceData out{.place = "drawn pictures", .count = size(), .hash = hash_text(params.split + kind_text())};
    for (int64_t i = 0; i < classes; ++i) out.classes.emplace_back(class_name(i));
    for (uint64_t sample = 0; sample < size(); ++sample) out.labels.push_back(static_cast<int>(label(sample)));
    return out;
  }
  void map_labels(const std::vector<int64_t>& labels) { labels_ = labels; }

  void run(Ports& port, const SampleContext& context) const {
    thread_local std::vector<uint8_t> pixels;
    const int side = static_cast<int>(params.size);
    const Rng rng(static_cast<uint64_t>(params.seed), hash_text(draws_shapes() ? "source.synthetic shapes" : "source.synthetic"),
                  params.split == "test" ? 1 : 0, context.sample);
    const int64_t own = label(context.sample);
    double hue = 0;
    io::PixelBuffer& map = port.label_map->pixels;
    if (draws_shapes()) {
      hue = shapes::draw(own, side, rng, pixels, params.own_hue, &map);
    } else {
      textures::draw(own, side, rng, pixels);
      map.reshape(side, side, 1);
      std::fill(map.pixels.begin(), map.pixels.end(), static_cast<uint8_t>(own));
    }
    port.caption->texts = {draws_shapes() ? shapes::caption(own, hue) : class_name(own)};
    // Colour at half the resolution would blur shapes of 32 pixels.
    io::encode_jpeg({pixels.data(), side, side, draws_shapes() ? 3 : 1}, static_cast<int>(params.quality), port.bytes->data,
                    io::ChromaSampling::s444);
    port.label->value = labels_.empty() ? own : labels_[static_cast<size_t>(own)];
  }

 private:
  std::vector<int64_t> labels_;  // in the table of another source

  static constexpr int64_t classes = textures::classes;
  static_assert(classes == shapes::classes);
  static int64_t label(uint64_t sample) { return static_cast<int64_t>(sample % classes); }
  /// What says of data that they are others; not the default of own_hue, so that older runs know theirs again.
  std::string kind_text() const {
    if (!draws_shapes()) return "";
    return params.own_hue == Params().own_hue ? " shapes" : " shapes " + std::to_string(params.own_hue);
  }
  bool draws_shapes() const { return params.kind == "shapes"; }
  const char* class_name(int64_t label) const { return draws_shapes() ? shapes::class_name(label) : textures::class_name(label); }
};

FLOWRUN_NODE(Synthetic);

}  // namespace
}  // namespace flowrun
