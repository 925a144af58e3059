// A plug-in for tools/bench: logs the region that the pipeline chooses for each sample, so that other contenders can
// use the same; and reads uploaded images, since a pipeline with unread outputs is refused.
#include <cstdio>
#include <mutex>

#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace {

using namespace flowrun;

struct WriteRegions {
  static constexpr NodeInfo info{.type = "bench.write_regions", .brief = "Writes the regions that it passes on to a file.", .scope = Scope::sample};
  struct Ports {
    In<Region> region{"region", "Of the picture."};
    Out<Region> out{"region", "The same."};
    void describe(auto& port) { port(region, out); }
  };
  struct Params {
    std::string file;
    void describe(auto& param) { param.required("file", file, "Gets lines of: epoch, position in it, sample, x, y, width, height."); }
  };
  Params params;

  void open(const OpenContext&) {
    lines_.reset(std::fopen(params.file.c_str(), "w"), [](FILE* file) {
      if (file) std::fclose(file);
    });
    if (!lines_) throw NodeError("cannot write " + params.file);
  }

  void run(Ports& port, const SampleContext& context) const {
    *port.out = *port.region;
    const io::Rect& r = port.region->rect;
    const std::lock_guard lock(*mutex_);
    std::fprintf(lines_.get(), "%llu\t%llu\t%llu\t%d\t%d\t%d\t%d\n", static_cast<unsigned long long>(context.epoch),
                 static_cast<unsigned long long>(context.position), static_cast<unsigned long long>(context.sample), r.x, r.y, r.width, r.height);
  }

 private:
  std::shared_ptr<FILE> lines_;
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
};

FLOWRUN_NODE(WriteRegions);

struct Take {
  static constexpr NodeInfo info{.type = "bench.take", .brief = "Reads what was uploaded, and does nothing with it.", .scope = Scope::device};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    void describe(auto& port) { port(image); }
  };
  struct Params {
    void describe(auto&) {}
  };
  Params params;
  void run(Ports&, const GroupContext&) {}
};

FLOWRUN_NODE(Take);

}  // namespace
