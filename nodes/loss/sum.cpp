#include "graph/node.h"
#include "nodes/device.h"

namespace flowrun {
namespace {

struct Sum {
  static constexpr NodeInfo info{
      .type = "loss.sum",
      .brief = "Adds losses, each with the weight that its own node gives it.",
      .scope = Scope::device,
      .details = "The values per block are those of the first loss. The sum has a value at steps where all of them have one.",
      .repeats = true};
  struct Ports {
    In<Loss> first{"first", "A loss."};
    In<Loss> second{"second", "Another."};
    In<Loss> third{"third", "Another.", optional};
    In<Loss> fourth{"fourth", "Another.", optional};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(first, second, third, fourth, loss); }
  };
  struct Params {
    void describe(auto&) {}
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    *port.loss = *port.first;
    for (const In<Loss>* other : {&port.second, &port.third, &port.fourth}) {
      if (!*other) continue;
      port.loss->value = port.loss->value.add((*other)->value);
      port.loss->has_value = port.loss->has_value && (*other)->has_value;
    }
  }
};

FLOWRUN_NODE(Sum);

}  // namespace
}  // namespace flowrun
