#include "graph/node.h"
#include "nodes/lib/tensor/types/device_types.h"

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
    InList<Loss> losses{"losses", "What to add."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(losses, loss); }
  };
  void run(Ports& port, const GroupContext&) const {
    *port.loss = port.losses[0];
    for (size_t i = 1; i < port.losses.size(); ++i) {
      const Loss& other = port.losses[i];
      if (port.loss->shown.defined() || other.shown.defined()) port.loss->shown = port.loss->reported().detach().add(other.reported().detach());
      port.loss->value = port.loss->value.add(other.value);
      port.loss->has_value = port.loss->has_value && other.has_value;
    }
  }
};

FLOWRUN_NODE(Sum);

}  // namespace
}  // namespace flowrun
