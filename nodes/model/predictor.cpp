#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/model_params.h"
#include "nodes/lib/tensor/model/transformer_predictor.h"

namespace flowrun {
namespace {

struct PredictorModel {
  static constexpr ModelInfo info{
      .type = "model.predictor",
      .brief = "Narrow transformer that predicts hidden blocks of the teacher at target patches from the student's visible tokens.",
      .kind = "predictor",
      .details =
          "Registers of its own, the class token without position, the visible patches, and one mask token per target patch; each region is "
          "predicted separately (Bootleg paper, appendix). The paper uses depth 10, half the encoder's width, and 16 heads. MAE's decoder is this "
          "model with depth 8, width 512, 16 heads, no registers and init mae; I-JEPA's has depth 6, the encoder's heads and no registers."};
  struct Params {
    Ref<model::Encoder> encoder;
    PredictorOutput output;
    int64_t depth = 10, width = 0, heads = 16, registers = 4, visible_out = 0;
    double mlp_ratio = 4;
    bool time = false;
    std::string init = "ijepa", regions = "separate", positions = "sincos";
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder whose tokens come in; gives width and grid.");
      output.describe(param);
      param("depth", depth, Range{1, 1000}, "Blocks of the predictor.");
      param("width", width, Range{0, 65536}, "Width of the predictor; 0: half of the encoder's.");
      param("heads", heads, Range{1, 1024}, "Attention heads; divide width.");
      param("registers", registers, Range{0, 64}, "Register tokens of its own.");
      param("regions", regions, regions_choices(),
            "separate: a sequence for each region. joint: one sequence with all of them, patches of two regions twice.");
      param("positions", positions, position_choices(), "sincos: a table, added to patches and mask tokens. rotary: as model.vit's.");
      param("time", time, "Whether the norms adapt to the time of the noise in a picture, as model.vit's; so does the last norm.");
      param("visible_out", visible_out, not_negative, "Values per visible patch, which a layer of its own predicts where mim.predict asks; 0: none.");
      param("mlp_ratio", mlp_ratio, Range{0.25, 16}, "Width of the MLP over width of the tokens.");
      param("init", init, init_choices(), "Initial weights, as model.vit's.");
    }
    static const Choices& position_choices() {
      static const Choices choices = {"sincos", "rotary"};
      return choices;
    }
    static const Choices& regions_choices() {
      static const Choices choices = {"separate", "joint"};
      return choices;
    }
    std::optional<ParamFault> check() const {
      if (auto fault = output.check()) return fault;
      if (width > 0 && width % 4 != 0) return ParamFault{"width", "width must be a multiple of 4 (the position table has four parts)"};
      if (width > 0 && width % heads != 0) {
        return ParamFault{"heads", std::to_string(heads) + " heads don't divide a width of " + std::to_string(width)};
      }
      if (visible_out > 0 && regions != "joint") {
        return ParamFault{"visible_out", "visible_out requires \"regions\": \"joint\": a visible patch has one prediction, not one for each region"};
      }
      if (positions == "rotary" && width > 0 && width / heads % 4 != 0) {
        return ParamFault{"heads", "rotary positions need heads whose width is a multiple of 4, not " + std::to_string(width / heads)};
      }
      return {};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const model::EncoderShape encoder = params.encoder->shape();
    model::TransformerPredictorConfig config;
    config.grid = encoder.grid;
    config.encoder_width = encoder.width;
    config.width = params.width > 0 ? params.width : encoder.width / 2;
    config.depth = params.depth, config.heads = params.heads, config.registers = params.registers;
    config.mlp_ratio = params.mlp_ratio, config.norm_eps = encoder.norm_eps;
    config.out_width = params.output.width(encoder.width), config.joint = params.regions == "joint";
    config.rotary = params.positions == "rotary", config.time = params.time, config.visible_width = params.visible_out;
    auto predictor = std::make_unique<model::TransformerPredictor>(config);
    predictor->blocks = params.output.blocks;
    begin(*predictor, context, params.init);
    return predictor;
  }
};

FLOWRUN_MODULE(PredictorModel);

}  // namespace
}  // namespace flowrun
