#include "graph/contract/planned.h"
#include "graph/node.h"
#include "nodes/lib/tensor/types/tokens.h"
#include "nodes/lib/tensor/types/vectors.h"

namespace flowrun {
namespace {

struct TokenRegister {
  static constexpr NodeInfo info{.type = "tokens.register",
                                 .brief = "A register token of each image as a vector: a second class token, where a loss trains it (UDI).",
                                 .scope = Scope::device,
                                 .details = "After the encoder's final norm. It stays on the way of the gradient.",
                                 .repeats = true};
  struct Ports {
    In<EncodedTokens> tokens{"tokens", "From encode.images."};
    Out<Vectors> vectors{"vectors", "B D."};
    void describe(auto& port) { port(tokens, vectors); }
  };
  struct Params {
    int64_t index = 0;
    void describe(auto& param) { param("index", index, not_negative, "Which register, from 0."); }
  };
  Params params;

  void plan(NodePlan& plan) const {
    const Planned in = plan.known("tokens");
    plan.out["vectors"] = Vectors::planned(in.rows, in.width);
    plan.out["vectors"].views = in.views;
  }

  void run(Ports& port, const GroupContext&) const {
    const Tensor& registers = port.tokens->registers_BRD;
    const int64_t count = registers.defined() ? registers.size(1) : 0;
    if (params.index >= count) {
      throw NodeError("register " + std::to_string(params.index) + " is asked for, and the encoder has " + std::to_string(count) +
                      ": set registers of model.vit to at least " + std::to_string(params.index + 1));
    }
    *port.vectors = {
        .values_nD = registers.select(1, params.index).to(at::kFloat), .views = port.tokens->views, .image_n = {}, .images = registers.size(0)};
  }
};

FLOWRUN_NODE(TokenRegister);

}  // namespace
}  // namespace flowrun
