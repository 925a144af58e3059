#include "nodes/lib/tensor/model/cross_predictor.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct CrossPredictorModel {
  static constexpr ModelInfo info{
      .type = "model.cross_predictor",
      .brief = "CrossMAE's predictor: mask tokens read the encoder's blocks by cross-attention and never see each other.",
      .kind = "predictor",
      .details =
          "Each layer reads its own learned linear mix of the outputs of all blocks of the encoder, layer-normed; the weights of the mix are "
          "drawn from N(0, 1 / blocks). Set \"maps\" of mim.encode_visible to true. Without maps every layer reads the encoder's final output. "
          "Fu et al. 2024; the defaults are the published decoder's."};
  struct Params {
    Ref<model::Encoder> encoder;
    PredictorOutput output;
    int64_t depth = 12, width = 512, heads = 16;
    bool maps = true;
    double mlp_ratio = 4;
    std::string init = "mae", positions = "sincos";
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder whose blocks are read; gives width, depth and grid.");
      output.describe(param);
      param("depth", depth, Range{1, 1000}, "Layers of the predictor.");
      param("width", width, Range{1, 65536}, "Width of the predictor.");
      param("heads", heads, Range{1, 1024}, "Attention heads; divide width.");
      param("maps", maps, "Whether layers read a mix of all blocks; false: the encoder's final output.");
      param("positions", positions, position_choices(),
            "sincos: a table, added to the mask tokens. rotary, rotary_capi: as model.vit's, of mask tokens and of what they read.");
      param("mlp_ratio", mlp_ratio, Range{0.25, 16}, "Width of the MLP over width of the tokens.");
      param("init", init, init_choices(), "Initial weights, as model.vit's.");
    }
    static const Choices& position_choices() {
      static const Choices choices = {"sincos", "rotary", "rotary_capi"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (auto fault = output.check()) return fault;
      if (width % 4 != 0) return ParamFault{"width", "width must be a multiple of 4 (the position table has four parts)"};
      if (width % heads != 0) return ParamFault{"heads", std::to_string(heads) + " heads don't divide a width of " + std::to_string(width)};
      if (positions != "sincos" && width / heads % 4 != 0) {
        return ParamFault{"heads", "rotary positions need heads whose width is a multiple of 4, not " + std::to_string(width / heads)};
      }
      return {};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const model::EncoderShape encoder = params.encoder->shape();
    if (params.positions == "rotary_capi" && (encoder.class_token || encoder.prefix % 4 != 0)) {
      throw NodeError("CAPI's places need an encoder without a class token whose registers are a multiple of 4: give " + params.encoder.names[0] +
                      " positions of that kind, or set positions to \"rotary\"");
    }
    const model::CrossPredictorConfig config{.grid = encoder.grid,
                                             .encoder_width = encoder.width,
                                             .maps = params.maps ? encoder.depth : 0,
                                             .width = params.width,
                                             .depth = params.depth,
                                             .heads = params.heads,
                                             .out_width = params.output.width(encoder.width),
                                             .mlp_ratio = params.mlp_ratio,
                                             .norm_eps = encoder.norm_eps,
                                             .positions = positions_named(params.positions)};
    auto predictor = std::make_unique<model::CrossPredictor>(config);
    predictor->blocks = params.output.blocks;
    begin(*predictor, context, params.init);
    return predictor;
  }
};

FLOWRUN_MODULE(CrossPredictorModel);

}  // namespace
}  // namespace flowrun
