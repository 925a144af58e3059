// A custom node, built outside the source tree: inverts pictures with a given chance.
#include "graph/node.h"
#include "nodes/lib/host/types/host_types.h"

namespace {

using namespace flowrun;

struct Invert {
  static constexpr NodeInfo info{
      .type = "example.invert", .brief = "Turns pictures into their negative with a given chance.", .scope = Scope::sample};
  struct Ports {
    In<Image> image{"image", "H W 3 u8."};
    Out<Image> out{"image", "The same size."};
    void describe(auto& port) { port(image, out); }
  };
  struct Params {
    double p = 0.5;
    void describe(auto& param) { param("p", p, Range{0, 1}, "Chance of a negative."); }
  };
  Params params;

  // Const, and a function of its inputs and the context alone: that is what makes runs reproducible.
  void run(Ports& port, const SampleContext& context) const {
    const bool invert = context.rng().chance(params.p);
    *port.out = *port.image;
    if (!invert) return;
    for (uint8_t& value : port.out->pixels.pixels) value = static_cast<uint8_t>(255 - value);
  }
};

FLOWRUN_NODE(Invert);

}  // namespace
