#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct VectorsViews {
  static constexpr NodeInfo info{
      .type = "vectors.views",
      .brief = "Some of the views of each picture: the large crops, for example, of vectors that went through a head with the small ones.",
      .scope = Scope::device,
      .details = "Gradients go back to the rows that are taken.",
      .repeats = true};
  struct Ports {
    In<Vectors> vectors{"vectors", "n D, one row for each view."};
    Out<Vectors> out{"vectors", "The rows of these views."};
    void describe(auto& port) { port(vectors, out); }
  };
  struct Params {
    int64_t first = 0, count = 1;
    void describe(auto& param) {
      param("first", first, not_negative, "The first view that is taken, from 0.");
      param("count", count, positive, "How many follow from there.");
    }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("vectors");
    if (in.views > 0 && static_cast<double>(params.first + params.count) > in.views) plan.fault("count", fault(in.views), hint);
    Planned& out = plan.out["vectors"];
    const double pictures = plan.group.images / plan.group.views;
    out = Vectors::planned(pictures * static_cast<double>(params.count), in.width);
    out.views = static_cast<double>(params.count);
  }

  void run(Ports& port, const GroupContext&) const {
    const Vectors& in = *port.vectors;
    if (in.image_n.defined()) throw NodeError("vectors are rows of patches, which have no views");
    if (params.first + params.count > in.views) throw NodeError(fault(static_cast<double>(in.views)) + ": " + hint);
    *port.out = in;
    port.out->values_nD = in.values_nD.unflatten(0, {-1, in.views}).narrow(1, params.first, params.count).flatten(0, 1);
    port.out->views = params.count;
    port.out->images = port.out->values_nD.size(0);
  }

 private:
  static constexpr const char* hint = "the views of several inputs of vectors.join come in the order of the inputs";

  std::string fault(double views) const {
    return "views " + std::to_string(params.first) + " to " + std::to_string(params.first + params.count - 1) + " are taken, and pictures have " +
           count_text(views);
  }
};

FLOWRUN_NODE(VectorsViews);

}  // namespace
}  // namespace flowrun
