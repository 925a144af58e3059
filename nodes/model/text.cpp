#include "nodes/lib/tensor/model/text.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct TextModel {
  static constexpr ModelInfo info{
      .type = "model.text",
      .brief = "A text tower: embeddings of tokens and positions, the ViT's blocks, and a norm.",
      .kind = "text",
      .details =
          "Pre-norm blocks, no dropout, learned positions. Causal and with the quick GELU it is CLIP's; without causal each token sees all tokens of "
          "its text, as in BERT. What comes after the end of a text is never seen. Defaults are those of CLIP's ViT-B/32."};
  struct Params {
    int64_t vocabulary = 49408, context = 77, width = 512, depth = 12, heads = 8;
    double mlp_ratio = 4;
    bool causal = true, recompute = false;
    std::string init = "clip", mlp = "gelu";
    void describe(auto& param) {
      param("vocabulary", vocabulary, positive, "How many numbers text.tokens has: CLIP's list 49,408, GPT-2's 50,257, bytes alone 258.");
      param("context", context, Range{3, 65536}, "Longest text, with start and end.");
      param("width", width, Range{1, 65536}, "Of the tokens.");
      param("depth", depth, Range{1, 1000}, "Blocks.");
      param("heads", heads, Range{1, 1024}, "Attention heads; they divide the width.");
      param("mlp_ratio", mlp_ratio, Range{0.25, 16}, "Width of the MLP over width of the tokens.");
      param("mlp", mlp, mlps(), "gelu: exact. quick_gelu: x sigmoid(1.702 x), as CLIP's code.");
      param("causal", causal, "Whether a token sees only those before it.");
      param.incidental()("recompute", recompute, "Whether each block keeps its input alone for the backward pass, and runs once more in it.");
      param("init", init, inits(),
            "Initial weights. clip: normal, with standard deviations that depend on width and depth; token embeddings 0.02, positions 0.01. normal: "
            "standard deviation 0.02 (BERT). Biases 0.");
    }
    static const Choices& inits() {
      static const Choices choices = {"clip", "normal"};
      return choices;
    }
    static const Choices& mlps() {
      static const Choices choices = {"gelu", "quick_gelu"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (width % heads == 0) return {};
      return ParamFault{"heads", std::to_string(heads) + " heads don't divide a width of " + std::to_string(width)};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto text = std::make_unique<model::Text>(model::TextConfig{.vocabulary = params.vocabulary,
                                                                .context = params.context,
                                                                .width = params.width,
                                                                .depth = params.depth,
                                                                .heads = params.heads,
                                                                .mlp_ratio = params.mlp_ratio,
                                                                .quick_gelu = params.mlp == "quick_gelu",
                                                                .causal = params.causal,
                                                                .scaled_init = params.init == "clip",
                                                                .recompute = params.recompute});
    begin(*text, context);
    return text;
  }
};

FLOWRUN_MODULE(TextModel);

}  // namespace
}  // namespace flowrun
