#include "graph/node.h"
#include "nodes/lib/tensor/report/picture_file.h"
#include "nodes/lib/tensor/report/sheet.h"

namespace flowrun {
namespace {

struct ContactSheet {
  static constexpr NodeInfo info{
      .type = "report.contact_sheet",
      .brief = "A picture of some samples: their crops, what the student sees of them, and the regions it predicts.",
      .scope = Scope::batch,
      .details = "Drawn once, from the first group of a step. Look at it before a long run: a wrong crop or mask shows at once."};
  struct Ports {
    In<ImageBatch> image{"image", "The images as the batch holds them."};
    In<Masks> mask{"mask", "Their masks; without them, the crops alone.", optional};
    void describe(auto& port) { port(image, mask); }
  };
  struct Params {
    int64_t count = 8, step = 1, side = 128;
    PictureFile picture{"contact_sheet.png"};
    void describe(auto& param) {
      param("count", count, Range{1, 64}, "How many images; each view of a picture is one.");
      param("step", step, positive, "The step to draw from.");
      param("side", side, Range{1, 1024}, "Small images are enlarged to about so many pixels.");
      picture.describe(param, "Name in the run directory.");
    }
    std::optional<ParamFault> check() const { return picture.check(); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "image", &Planned::views, "mask", "draw the masks from the batch of these images");
  }

  void open(const OpenContext& context) { writer_.open(params.picture, context); }

  void run(Ports& port, const GroupContext& context) const {
    if (context.step != params.step || context.run.directory.empty() || !first_of_step(context)) return;
    if (port.mask && port.mask->images != port.image->images) {
      throw NodeError("there are " + std::to_string(port.image->images) + " images, but masks of " + std::to_string(port.mask->images) +
                      ": draw the masks from the batch of these images");
    }
    const io::PixelBuffer sheet = contact_sheet(*port.image, port.mask ? &*port.mask : nullptr, params.count, static_cast<int>(params.side));
    writer_.write(context.run.directory, params.picture, context.step, sheet.view());
  }

 private:
  PictureWriter writer_;

  static bool first_of_step(const GroupContext& context) {
    return context.group % static_cast<uint64_t>(context.groups * context.run.world) == static_cast<uint64_t>(context.groups * context.run.rank);
  }
};

FLOWRUN_NODE(ContactSheet);

}  // namespace
}  // namespace flowrun
