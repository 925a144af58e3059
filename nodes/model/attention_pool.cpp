#include "nodes/lib/tensor/model/attention_pool.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct AttentionPoolModel {
  static constexpr ModelInfo info{.type = "model.attention_pool",
                                  .brief = "One layer of attention that makes vectors of places between an image's patches (UDI).",
                                  .kind = "attention_pool",
                                  .details =
                                      "Queries of a place are the weighted queries of the patches around it; keys and values are all patches of the "
                                      "image. The weighted patches are added, and a layer norm follows. tokens.matched applies it."};
  struct Params {
    Ref<model::Encoder> of;
    int64_t heads = 0;
    void describe(auto& param) {
      param.reads("of", of, "The encoder whose patches it takes; gives the width.");
      param("heads", heads, Range{0, 1024}, "Attention heads; 0: the encoder's.");
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const model::EncoderShape shape = params.of->shape();
    const int64_t heads = params.heads > 0 ? params.heads : shape.heads;
    if (heads < 1 || shape.width % heads != 0) {
      throw NodeError(std::to_string(heads) + " heads don't divide the width " + std::to_string(shape.width) + " of " + params.of.names[0] +
                      ": set heads to a number that does");
    }
    auto pool = std::make_unique<model::AttentionPool>(model::AttentionPoolConfig{.width = shape.width, .heads = heads, .norm_eps = 1e-6});
    begin(*pool, context);
    return pool;
  }
};

FLOWRUN_MODULE(AttentionPoolModel);

}  // namespace
}  // namespace flowrun
