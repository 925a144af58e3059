#include <ATen/ops/cat.h>

#include "graph/node.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct Join {
  static constexpr NodeInfo info{.type = "vectors.join",
                                 .brief = "Vectors of several nodes as one: side by side, or as more views of the same pictures.",
                                 .scope = Scope::device,
                                 .details =
                                     "features: row i of the output is row i of all inputs, one behind the other. rows: the views of a picture are "
                                     "those of the first input, then "
                                     "those of the second, and so on. Gradients go back to each input.",
                                 .repeats = true};
  struct Ports {
    InList<Vectors> vectors{"vectors", "What to join: n D each, of the same pictures."};
    Out<Vectors> out{"vectors", "n with all D side by side, or all n of width D."};
    void describe(auto& port) { port(vectors, out); }
  };
  struct Params {
    std::string along = "features";
    void describe(auto& param) { param("along", along, axes(), "features: rows become wider. rows: there are more of them."); }
    static const Choices& axes() {
      static const Choices choices = {"features", "rows"};
      return choices;
    }
  };
  Params params;

  void run(Ports& port, const GroupContext&) const {
    const Vectors& first = port.vectors[0];
    for (size_t i = 1; i < port.vectors.size(); ++i) require_fit(first, port.vectors[i], i + 1);
    *port.out = first;
    if (params.along == "features") {
      std::vector<Tensor> side_by_side;
      for (size_t i = 0; i < port.vectors.size(); ++i) side_by_side.push_back(port.vectors[i].values_nD);
      port.out->values_nD = at::cat(side_by_side, 1);
      return;
    }
    const int64_t width = first.values_nD.size(1), pictures = first.values_nD.size(0) / first.views;
    std::vector<Tensor> of_pictures;
    port.out->views = 0;
    for (size_t i = 0; i < port.vectors.size(); ++i) {
      of_pictures.push_back(port.vectors[i].values_nD.reshape({pictures, -1, width}));
      port.out->views += port.vectors[i].views;
    }
    port.out->values_nD = at::cat(of_pictures, 1).reshape({-1, width});
    port.out->images = pictures * port.out->views;
  }

 private:
  void require_fit(const Vectors& first, const Vectors& other, size_t number) const {
    const std::string which = "input " + std::to_string(number) + " of vectors";
    const int64_t rows = first.values_nD.size(0), other_rows = other.values_nD.size(0);
    if (params.along == "features") {
      if (rows != other_rows || first.views != other.views) {
        throw NodeError(which + " has " + std::to_string(other_rows) + " rows (" + std::to_string(other.views) + " views of a picture), the first " +
                        std::to_string(rows) + " (" + std::to_string(first.views) + "): side by side they must be of the same views");
      }
      return;
    }
    if (first.image_n.defined() || other.image_n.defined()) {
      throw NodeError("vectors of chosen tokens can't be joined along rows: their images have no equal number of them");
    }
    if (first.values_nD.size(1) != other.values_nD.size(1)) {
      throw NodeError(which + " has width " + std::to_string(other.values_nD.size(1)) + ", the first " + std::to_string(first.values_nD.size(1)) +
                      ": rows that are joined must be equally wide");
    }
    if (rows / first.views != other_rows / other.views) throw NodeError(which + " is of other pictures than the first");
  }
};

FLOWRUN_NODE(Join);

}  // namespace
}  // namespace flowrun
