#include <chrono>
#include <filesystem>

#include "graph/node.h"
#include "io/codec/png.h"
#include "io/file.h"
#include "io/run/tensorboard.h"
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
    std::string file = "contact_sheet.png";
    bool tensorboard = true;
    void describe(auto& param) {
      param("count", count, Range{1, 64}, "How many images; each view of a picture is one.");
      param("step", step, positive, "The step to draw from.");
      param("side", side, Range{1, 1024}, "Small images are enlarged to about so many pixels.");
      param("file", file, "Name in the run directory.");
      param("tensorboard", tensorboard, "Whether to put it among the event file's images too.");
    }
    std::optional<ParamFault> check() const {
      if (file.empty() || file.find('/') != std::string::npos || !file.ends_with(".png"))
        return ParamFault{"file", "file must be a name that ends in .png, without a folder"};
      return {};
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("number of views", "image", &Planned::views, "mask", "draw the masks from the batch of these images");
  }

  void open(const OpenContext& context) {
    tag_ = context.name;
    if (params.tensorboard && !context.run.directory.empty()) events_ = io::shared_event_writer(context.run.directory, static_cast<int64_t>(now()));
  }

  void run(Ports& port, const GroupContext& context) const {
    if (context.step != params.step || context.run.directory.empty() || !first_of_step(context)) return;
    if (port.mask && port.mask->images != port.image->images) {
      throw NodeError("there are " + std::to_string(port.image->images) + " images, but masks of " + std::to_string(port.mask->images) +
                      ": draw the masks from the batch of these images");
    }
    const io::PixelBuffer sheet = contact_sheet(*port.image, port.mask ? &*port.mask : nullptr, params.count, static_cast<int>(params.side));
    const std::filesystem::path path = std::filesystem::path(context.run.directory) / params.file;
    io::write_png(path, sheet.view());
    if (!events_) return;
    std::vector<uint8_t> png;
    io::read_file(path, png);
    events_->image(tag_, context.step, png, sheet.height, sheet.width, now());
  }

 private:
  static double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

  std::shared_ptr<io::EventWriter> events_;
  std::string tag_;

  static bool first_of_step(const GroupContext& context) {
    return context.group % static_cast<uint64_t>(context.groups * context.run.world) == static_cast<uint64_t>(context.groups * context.run.rank);
  }
};

FLOWRUN_NODE(ContactSheet);

}  // namespace
}  // namespace flowrun
