#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/device/float32.h"
#include "nodes/lib/tensor/device/send.h"
#include "nodes/lib/tensor/types/device_matches.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Blend {
  static constexpr NodeInfo info{
      .type = "targets.blend",
      .brief = "A teacher's scores of a view and the mean of those of the places that it shares with another view, weighted (UDI's second target).",
      .scope = Scope::device,
      .details =
          "share x mean over the rows of a pair + (1 - share) x the scores of the pair's second view, one row for each pair. A pair that shares no "
          "place has the mean 0. No gradient.",
      .repeats = true};
  struct Ports {
    In<Vectors> whole{"whole", "Scores of the second views, one row for each."};
    In<Vectors> places{"places", "Scores of tokens.matched with side to."};
    In<DeviceMatches> matches{"matches", "The same as there."};
    Out<Vectors> out{"vectors", "pictures x pairs, K."};
    void describe(auto& port) { port(whole, places, matches, out); }
  };
  struct Params {
    double share = 0.5;
    void describe(auto& param) { param("share", share, Range{0, 1}, "Weight of the places."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    plan.require_equal("width", "whole", &Planned::width, "places");
    plan.out["vectors"] = Vectors::planned(0, plan.known("whole").width);
  }

  void run(Ports& port, const GroupContext&) const {
    const at::NoGradGuard no_grad;
    const Vectors& places = *port.places;
    const DeviceMatches& matches = *port.matches;
    const int64_t pairs = matches.layout.pairs(), width = port.whole->values_nD.size(1);
    if (!places.image_n.defined() || places.images != matches.pictures * pairs) {
      throw NodeError("places are not rows of these matches: connect tokens.matched through a head");
    }
    if (port.whole->views != matches.layout.to_views) {
      throw NodeError("whole has " + std::to_string(port.whole->views) + " views of a picture, the second side of the matches " +
                      std::to_string(matches.layout.to_views));
    }
    const Tensor whole = at_least_float(port.whole->values_nD), rows = at_least_float(places.values_nD);
    const Tensor sums = at::zeros({places.images, width}, rows.options()).index_add(0, places.image_n, rows);
    const Tensor counts = at::zeros({places.images}, rows.options()).index_add(0, places.image_n, at::ones({rows.size(0)}, rows.options()));
    const Tensor mean = sums.div(counts.clamp_min(1).unsqueeze(1));
    const Tensor second = send(matches.layout.to_view.data(), {pairs}, at::kLong, whole.device());
    const Tensor of_pairs = whole.view({matches.pictures, matches.layout.to_views, width}).index_select(1, second).flatten(0, 1);
    *port.out = {.values_nD = mean.mul(params.share).add(of_pairs, 1 - params.share), .views = pairs, .image_n = {}, .images = places.images};
  }
};

FLOWRUN_NODE(Blend);

}  // namespace
}  // namespace flowrun
