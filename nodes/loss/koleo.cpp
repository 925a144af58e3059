#include "graph/node.h"
#include "nodes/lib/tensor/loss/view_loss.h"
#include "nodes/lib/tensor/loss/views.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Koleo {
  static constexpr NodeInfo info = loss::info(
      {.type = "loss.koleo",
       .brief = "Minus the log distance of each vector to its nearest neighbour, which spreads the vectors evenly: DINOv2's KoLeo.",
       .details =
           "-log of the distance to the nearest other vector of the same view in the group, at length 1, in float32; the mean over pictures and "
           "views (Sablayrolles et al., 2019). Published code takes the pictures of one GPU: make batch.group that many. DINOv2's weight is 0.1, for "
           "the sum of two views."});
  struct Ports {
    In<Vectors> vectors{"vectors", "n D, two pictures at least."};
    Out<Loss> loss{"loss", "A scalar."};
    void describe(auto& port) { port(vectors, loss); }
  };
  using Params = loss::Weight;
  Params params;

  int64_t variant(const GroupContext& context) const { return params.variant(context); }

  void run(Ports& port, const GroupContext& context) const {
    params.give(loss::koleo(port.vectors->values_nD, port.vectors->views), context, *port.loss);
  }
};

FLOWRUN_NODE(Koleo);

}  // namespace
}  // namespace flowrun
