#include "graph/node.h"
#include "io/codec/jpeg.h"
#include "nodes/lib/host/source/textures.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun {
namespace {

struct Synthetic {
  static constexpr NodeInfo info{
      .type = "source.synthetic",
      .brief = "Drawn pictures of ten kinds of gray texture, encoded as JPEG: a data set with labels and without files.",
      .scope = Scope::source,
      .details =
          "Stripes of three orientations and two periods, checks, dots, rings and blocks, with random phase, slight rotation, contrast, sign, "
          "brightness and grain. A picture depends on seed, split and index alone, not on the run's seed; train and test never share one."};
  struct Ports {
    Out<Bytes> bytes{"bytes", "A gray JPEG."};
    Out<Label> label{"label", "0 to 9, in rotation."};
    void describe(auto& port) { port(bytes, label); }
  };
  struct Params {
    int64_t images = 10000, size = 24, seed = 0, quality = 92;
    std::string split = "train";
    void describe(auto& param) {
      param("images", images, positive, "How many there are.");
      param("size", size, Range{8, 1024}, "Side in pixels.");
      param("split", split, splits(), "Which of two sets that share no picture.");
      param("seed", seed, any_seed, "Another seed is another data set.");
      param("quality", quality, Range{1, 100}, "Of the JPEG.");
    }
    static const Choices& splits() {
      static const Choices choices = {"train", "test"};
      return choices;
    }
  };
  Params params;

  uint64_t size() const { return static_cast<uint64_t>(params.images); }
  std::string key(uint64_t sample) const {
    return "picture " + std::to_string(sample) + " of " + params.split + " (" + textures::class_name(label(sample)) + ")";
  }

  SourceData data() const {
    SourceData out{.place = "drawn pictures", .count = size(), .hash = hash_text(params.split)};
    for (int64_t i = 0; i < textures::classes; ++i) out.classes.emplace_back(textures::class_name(i));
    return out;
  }
  void map_labels(const std::vector<int64_t>& labels) { labels_ = labels; }

  void run(Ports& port, const SampleContext& context) const {
    thread_local std::vector<uint8_t> pixels;
    const int side = static_cast<int>(params.size);
    const Rng rng(static_cast<uint64_t>(params.seed), hash_text("source.synthetic"), params.split == "test" ? 1 : 0, context.sample);
    textures::draw(label(context.sample), side, rng, pixels);
    io::encode_jpeg({pixels.data(), side, side, 1}, static_cast<int>(params.quality), port.bytes->data);
    const int64_t own = label(context.sample);
    port.label->value = labels_.empty() ? own : labels_[static_cast<size_t>(own)];
  }

 private:
  std::vector<int64_t> labels_;  // in the table of another source
  static int64_t label(uint64_t sample) { return static_cast<int64_t>(sample % textures::classes); }
};

FLOWRUN_NODE(Synthetic);

}  // namespace
}  // namespace flowrun
