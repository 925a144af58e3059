#include <filesystem>

#include "graph/node.h"
#include "io/png.h"
#include "nodes/report/sheet.h"

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
    void describe(auto& param) {
      param("count", count, Range{1, 64}, "How many samples.");
      param("step", step, positive, "The step to draw from.");
      param("side", side, Range{1, 1024}, "Small images are enlarged to about so many pixels.");
      param("file", file, "Name in the run directory.");
    }
    std::optional<ParamFault> check() const {
      if (file.empty() || file.find('/') != std::string::npos || !file.ends_with(".png"))
        return ParamFault{"file", "file must be a name that ends in .png, without a folder"};
      return {};
    }
  };
  Params params;

  void run(Ports& port, const GroupContext& context) const {
    if (context.step != params.step || context.run.directory.empty() || !first_of_step(context)) return;
    const io::PixelBuffer sheet = contact_sheet(*port.image, port.mask ? &*port.mask : nullptr, params.count, static_cast<int>(params.side));
    io::write_png(std::filesystem::path(context.run.directory) / params.file, sheet.view());
  }

 private:
  static bool first_of_step(const GroupContext& context) {
    return context.group % static_cast<uint64_t>(context.groups * context.run.world) == static_cast<uint64_t>(context.groups * context.run.rank);
  }
};

FLOWRUN_NODE(ContactSheet);

}  // namespace
}  // namespace flowrun
