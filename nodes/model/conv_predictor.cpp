#include "nodes/lib/tensor/model/conv_predictor.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/encoder.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct ConvPredictorModel {
  static constexpr ModelInfo info{
      .type = "model.conv_predictor",
      .brief = "data2vec 2.0's predictor: grouped convolutions over the grid, with noise where patches are hidden.",
      .kind = "predictor",
      .details =
          "Visible patches take their places, hidden ones get Gaussian noise; each layer is a grouped convolution, a layer norm without gain and "
          "GELU, added to its input; a linear layer comes last. The class token is not used. Baevski et al. 2023; the defaults are the published "
          "ones. The noise is drawn on the device: another kind of device draws other numbers."};
  struct Params {
    Ref<model::Encoder> encoder;
    PredictorOutput output;
    int64_t depth = 6, width = 0, groups = 16, kernel = 3;
    double noise = 0.01;
    std::string init = "ijepa";
    void describe(auto& param) {
      param.reads("encoder", encoder, "The encoder whose tokens come in; gives width and grid.");
      output.describe(param);
      param("depth", depth, Range{1, 1000}, "Convolutions.");
      param("width", width, Range{0, 65536}, "Channels; 0: the encoder's width.");
      param("groups", groups, Range{1, 65536}, "Groups of channels; divide both widths.");
      param("kernel", kernel, Range{1, 15}, "Side of the kernel, patches; odd.");
      param("noise", noise, not_negative, "Standard deviation of the noise at hidden places.");
      param("init", init, init_choices(), "Initial weights of the last layer, as model.vit's; convolutions are uniform in +-1 / sqrt(inputs).");
    }
    std::optional<ParamFault> check() const {
      if (auto fault = output.check()) return fault;
      if (kernel % 2 == 0) return ParamFault{"kernel", "kernel must be odd, so that the grid keeps its size"};
      return {};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    const model::EncoderShape encoder = params.encoder->shape();
    const model::ConvPredictorConfig config{.grid = encoder.grid,
                                            .encoder_width = encoder.width,
                                            .width = params.width > 0 ? params.width : encoder.width,
                                            .depth = params.depth,
                                            .groups = params.groups,
                                            .kernel = params.kernel,
                                            .out_width = params.output.width(encoder.width),
                                            .noise = params.noise};
    auto predictor = std::make_unique<model::ConvPredictor>(config);
    predictor->blocks = params.output.blocks;
    begin(*predictor, context, params.init);
    return predictor;
  }
};

FLOWRUN_MODULE(ConvPredictorModel);

}  // namespace
}  // namespace flowrun
