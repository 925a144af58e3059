#include "graph/node.h"
#include "nodes/host.h"

namespace flowrun {
namespace {

struct Stack {
  static constexpr NodeInfo info{
      .type = "batch.stack",
      .brief = "Stacks samples into batches, cut into groups.",
      .scope = Scope::batch,
      .details =
          "A step takes `size` samples in groups of `group`. Masks are drawn per group and gradients are added over groups, so any number of "
          "workers that divides the groups trains on the same samples, crops and masks. All images of a batch have one size. The pixels "
          "enter the ledger."};
  struct Ports {
    In<Image> image{"image", "H W 3 u8, the same size for all samples."};
    In<Label> label{"label", "Class of the sample.", optional};
    In<LabelMap> label_map{"label_map", "Class of each pixel, the same size for all samples.", optional};
    Out<ImageBatch> images{"image", "B H W 3 u8, B = group."};
    Out<LabelBatch> labels{"label", "B class indices, -1 where unknown."};
    Out<LabelMapBatch> label_maps{"label_map", "B H W u8, 255 where unknown; empty without label maps."};
    void describe(auto& port) { port(image, label, label_map, images, labels, label_maps); }
  };
  struct Params {
    int64_t size = 256;
    int64_t group = 0;
    void describe(auto& param) {
      param("size", size, positive, "Samples in a step, over all workers.");
      param("group", group, not_negative, "Samples in a group; divides size. 0: the whole step is one group.");
    }
    std::optional<ParamFault> check() const {
      if (group > 0 && size % group != 0) {
        return ParamFault{"group", "group must divide size, but " + std::to_string(size) + " / " + std::to_string(group) + " leaves a rest"};
      }
      return {};
    }
  };
  Params params;

  Grouping grouping() const { return {params.size, params.group > 0 ? params.group : params.size}; }

  void fold(Ports& port, const FoldContext& context) const {
    put(port.image->pixels.view(), *port.images, context, "the image", "image.resize");
    if (port.label_map) put(port.label_map->pixels.view(), *port.label_maps, context, "the label map", "image.label_resize");
    if (port.label) {
      port.labels->reserve(grouping().group);
      port.labels->values[static_cast<size_t>(context.index)] = port.label->value;
    }
  }

  void run(Ports& port, const GroupContext& context) const { port.images->images = port.label_maps->images = context.images; }

 private:
  void put(const io::ImageView& view, ImageBatch& batch, const FoldContext& context, const std::string& what, const std::string& cure) const {
    uint8_t* place = batch.place(context.index, grouping().group, view);
    if (place == nullptr) {
      throw NodeError(what + " is " + std::to_string(view.width) + "x" + std::to_string(view.height) + ", others of its batch are " +
                      std::to_string(batch.width) + "x" + std::to_string(batch.height) + "; put an " + cure + " before the stack");
    }
    std::copy_n(view.pixels, view.bytes(), place);
    context.ledger.add(hash_bytes(view.pixels, view.bytes()));
  }
};

FLOWRUN_NODE(Stack);

}  // namespace
}  // namespace flowrun
