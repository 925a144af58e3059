#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"

namespace flowrun {
namespace {

struct Pixels {
  static constexpr NodeInfo info{
      .type = "eval.pixels", .brief = "The pixels themselves as features: the result of an evaluation without any encoder.", .scope = Scope::device};
  struct Ports {
    In<DeviceImages> image{"image", "B 3 H W."};
    In<DeviceLabels> label{"label", "Classes.", optional};
    Out<Features> features{"features", "B D, D = 3 H W."};
    void describe(auto& port) { port(image, label, features); }
  };
  void run(Ports& port, const GroupContext&) const {
    port.features->values_BD = port.image->images_BCHW.flatten(1);
    if (port.label) port.features->labels_B = port.label->labels_B, port.features->range = port.label->range;
  }
};

FLOWRUN_NODE(Pixels);

}  // namespace
}  // namespace flowrun
