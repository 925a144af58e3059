#include <algorithm>

#include "graph/node.h"
#include "nodes/lib/host/types/faults.h"
#include "nodes/lib/host/types/group_sizes.h"
#include "nodes/lib/host/types/matches.h"
#include "nodes/lib/host/types/sample_ids.h"
#include "nodes/lib/host/types/text_types.h"
#include "nodes/lib/host/types/views.h"

namespace flowrun {
namespace {

struct Stack {
  static constexpr NodeInfo info{
      .type = "batch.stack",
      .brief = "Stacks samples into batches, cut into groups.",
      .scope = Scope::batch,
      .details =
          "A step takes `size` samples in groups of `group`. Masks are drawn per group and gradients are added over groups, so any number of ranks "
          "that divides the groups trains on the same samples, crops and masks. All images of a batch have one size. Of pictures with V views a "
          "batch holds V times as many images, row = picture * V + view. The pixels enter the ledger, and so do texts."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, or several views; the same size for all samples."};
    In<Label> label{"label", "Class of the sample, or of each of its views.", optional};
    In<LabelMap> label_map{"label_map", "Class of each pixel, the same size for all samples.", optional};
    In<Matches> matches{"matches", "Of image.matches, the same cells of all samples.", optional};
    In<TextTokens> text{"text", "A text of the sample, of text.tokens.", optional};
    In<Fault> fault{"fault", "Of image.decode: why the picture is blank.", optional};
    Out<ImageBatch> images{"image", "B H W 3 u8, B = group; of pictures with several views those of a picture side by side."};
    Out<LabelBatch> labels{"label", "B class indices, -1 where unknown; one class of a picture stands once for each view."};
    Out<LabelMapBatch> label_maps{"label_map", "B H W u8, 255 where unknown; empty without label maps."};
    Out<MatchBatch> match_batch{"matches", "Of all pictures; empty without matches."};
    Out<SampleIds> ids{"ids", "B indices in the source, one for each view, for device.ids."};
    Out<TextBatch> texts{"text", "B T numbers, one row for each picture; empty without texts."};
    Out<Faults> faults{"faults", "One text for each sample; empty without faults."};
    void describe(auto& port) { port(image, label, label_map, matches, text, fault, images, labels, label_maps, match_batch, ids, texts, faults); }
  };
  using Params = GroupSizes;
  Params params;

  Grouping grouping() const { return params.grouping(); }

  void fold(Ports& port, const FoldContext& context) const {
    const int64_t views = port.image->pixels.views;
    if (port.label_map) image::require_one_view(port.image->pixels.views, "a label map");
    put(port.image->pixels, *port.images, context, "the image", "image.resize");
    if (port.label_map) put(port.label_map->pixels, *port.label_maps, context, "the label map", "image.label_resize");
    if (port.label) put(*port.label, views, *port.labels, context);
    if (port.matches && !port.match_batch->put(context.index, params.capacity(context), *port.matches)) {
      throw FatalNodeError("matches are of other views than those of another sample: take them from crops with the same count");
    }
    port.ids->reserve(params.capacity(context) * views);
    std::fill_n(port.ids->values.begin() + context.index * views, views, static_cast<int64_t>(context.sample));
    if (port.text) put(*port.text, *port.texts, context);
    if (port.fault) {
      port.faults->reserve(params.capacity(context));
      port.faults->why[static_cast<size_t>(context.index)] = port.fault->why;
    }
  }

  void run(Ports& port, const GroupContext& context) const {
    port.images->images = context.images * port.images->views;
    port.label_maps->images = context.images;
    port.match_batch->pictures = context.images;
    port.ids->rows = port.images->images;
    port.texts->texts = context.images;
  }

 private:
  void put(const Label& label, int64_t views, LabelBatch& batch, const FoldContext& context) const {
    if (!label.views.empty() && static_cast<int64_t>(label.views.size()) != views) {
      throw FatalNodeError("there are labels of " + std::to_string(label.views.size()) + " views, but the picture comes in " + std::to_string(views) +
                           ": take image and label from the same node");
    }
    batch.reserve(params.capacity(context) * views);
    const auto place = batch.values.begin() + context.index * views;
    if (label.views.empty()) {
      std::fill_n(place, views, label.value);
    } else {
      std::copy_n(label.views.begin(), views, place);
    }
  }

  void put(const TextTokens& text, TextBatch& batch, const FoldContext& context) const {
    if (!batch.put(context.index, params.capacity(context), text)) {
      throw FatalNodeError("a text has " + std::to_string(text.ids.size()) + " tokens, others of its batch " + std::to_string(batch.length) +
                           ": take all from one text.tokens");
    }
    context.ledger.add(hash_bytes(text.ids.data(), text.ids.size() * sizeof(int64_t)));
  }

  void put(const io::PixelBuffer& image, ImageBatch& batch, const FoldContext& context, const std::string& what, const std::string& cure) const {
    const io::ImageView view = image.view();
    uint8_t* place = batch.place(context.index, params.capacity(context), view, image.views);
    if (place == nullptr && image.views != batch.views) {
      throw NodeError(what + " comes in " + std::to_string(image.views) + " views, others of its batch in " + std::to_string(batch.views));
    }
    if (place == nullptr) {
      throw NodeError(what + " is " + std::to_string(view.width) + "x" + std::to_string(view.height) + ", others of its batch are " +
                      std::to_string(batch.width) + "x" + std::to_string(batch.height) + "; put an " + cure + " before the stack");
    }
    const size_t bytes = view.bytes() * static_cast<size_t>(image.views);
    std::copy_n(view.pixels, bytes, place);
    context.ledger.add(hash_bytes(view.pixels, bytes));
  }
};

FLOWRUN_NODE(Stack);

}  // namespace
}  // namespace flowrun
