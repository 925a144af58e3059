#include "nodes/lib/tensor/model/vit.h"

#include "graph/node.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

const Choices& archs() {
  static const Choices choices = {"ti", "s", "b", "l", "h"};
  return choices;
}

struct VitModel {
  static constexpr ModelInfo info{
      .type = "model.vit",
      .brief = "Vision transformer with learned class and register tokens.",
      .kind = "vit",
      .details =
          "Pre-norm blocks, no dropout. Weights carry timm's names: a saved encoder loads in timm's "
          "VisionTransformer(class_token=True, reg_tokens=4, no_embed_class=True). Initial values depend only on the seed, the model's name and "
          "the parameter's name.",
      .also = "encoder"};
  struct Params {
    std::string arch = "s";
    int64_t image = 224, patch = 16, channels = 3, width = 0, depth = 0, heads = 0, registers = 4;
    double mlp_ratio = 4, norm_eps = 1e-6;
    bool pre_norm = false, class_token = true, mask_token = false, drop_path_uniform = false, recompute = false, time = false;
    std::string init = "ijepa", positions = "sincos", mlp = "gelu";
    double layer_scale = 0, drop_path = 0, position_offset = 0.1;
    std::vector<int64_t> sizes;
    void describe(auto& param) {
      param("arch", arch, archs(), "Depth, width and heads: ti 12/192/3, s 12/384/6, b 12/768/12, l 24/1024/16, h 32/1280/16.");
      param("image", image, Range{1, 16384}, "Side of the square input, pixels.");
      param("patch", patch, Range{1, 16384}, "Side of a patch, pixels; divides image.");
      param("channels", channels, Range{1, 65536}, "Channels of the input: 3 of pictures, C of feature grids.");
      param("width", width, Range{0, 65536}, "Width of the tokens instead of arch's; 0: arch's.");
      param("depth", depth, Range{0, 1000}, "Blocks instead of arch's; 0: arch's.");
      param("heads", heads, Range{0, 1024}, "Attention heads instead of arch's; 0: arch's.");
      param("mlp_ratio", mlp_ratio, Range{0.25, 16}, "Width of the MLP over width of the tokens.");
      param("mlp", mlp, mlps(),
            "gelu: two layers. quick_gelu: with x sigmoid(1.702 x) in place of the exact GELU (CLIP). swiglu: gated, of two thirds of that width, up "
            "to a "
            "multiple of 8 (DINOv2's largest).");
      param("norm_eps", norm_eps, Range{1e-12, 1e-2}, "Of the layer norms; CLIP: 1e-5.");
      param("pre_norm", pre_norm, "Whether a layer norm stands before the blocks; patches have no bias then (CLIP).");
      param("class_token", class_token, "Whether there is a class token.");
      param("registers", registers, Range{0, 64}, "Register tokens.");
      param("mask_token", mask_token, "Whether there is a learned token for hidden patches: encode.images needs it where a mask is connected.");
      param("positions", positions, position_choices(),
            "sincos: a fixed sine-cosine table. learned: a table that is trained. rotary: queries and keys turn by their patch's place (RoPE in two "
            "axes, as DINOv3). rotary_capi: as CAPI's code has it, registers on the edge of what is visible.");
      param("sizes", sizes, Range{1, 16384},
            "Other sides of the input that are accepted, pixels, as small crops have them; tables of positions are resampled for these (bicubic).");
      param("position_offset", position_offset, Range{0, 1}, "Added to the grid when positions are resampled: 0.1 in DINO and DINOv2.");
      param("time", time,
            "Whether the norms adapt to the time of the noise in a picture (adaLN of DiT, as UMD has it): a picture without noise has time 0.");
      param("layer_scale", layer_scale, Range{0, 1}, "Initial value of learned gains behind attention and MLP (DINOv2: 1e-5); 0: none.");
      param("drop_path", drop_path, Range{0, 0.9},
            "Chance that attention or MLP of the last block is left out for an image while training; earlier blocks less, linearly from 0.");
      param("drop_path_uniform", drop_path_uniform, "Whether that chance is the same in all blocks (DINOv2).");
      param.incidental()(
          "recompute", recompute,
          "Whether each block keeps its input alone for the backward pass, and runs once more in it: memory of one block, about a third more time.");
      param("init", init, init_choices(),
            "Initial weights. ijepa: normal 0.02. ijepa_rescaled: the last layer of each sub-block divided by sqrt(2 block). mae: Xavier uniform. "
            "moco_v3: the same, with queries, keys and values as three weights, and tokens near 0.");
    }
    static const Choices& position_choices() {
      static const Choices choices = {"sincos", "learned", "rotary", "rotary_capi"};
      return choices;
    }
    static const Choices& mlps() {
      static const Choices choices = {"gelu", "quick_gelu", "swiglu"};
      return choices;
    }
    model::VitConfig config() const {
      model::VitConfig config = model::vit_arch(arch);
      config.image = image, config.patch = patch, config.channels = channels;
      if (width > 0) config.width = width;
      if (depth > 0) config.depth = depth;
      if (heads > 0) config.heads = heads;
      config.mlp_ratio = mlp_ratio, config.gated = mlp == "swiglu", config.quick_gelu = mlp == "quick_gelu";
      config.norm_eps = norm_eps, config.pre_norm = pre_norm, config.recompute = recompute, config.class_token = class_token,
      config.registers = registers;
      config.mask_token = mask_token, config.time = time;
      config.positions = positions_named(positions), config.layer_scale = layer_scale, config.drop_path = drop_path,
      config.drop_evenly = drop_path_uniform;
      config.sizes = sizes, config.position_offset = position_offset;
      return config;
    }
    std::optional<ParamFault> check() const {
      const model::VitConfig c = config();
      const auto n = [](int64_t value) { return std::to_string(value); };
      if (c.image % c.patch != 0) return ParamFault{"patch", "patches of " + n(c.patch) + " pixels don't tile an image of " + n(c.image)};
      for (const int64_t side : c.sizes) {
        if (side % c.patch != 0) return ParamFault{"sizes", "patches of " + n(c.patch) + " pixels don't tile an image of " + n(side)};
      }
      if (c.width % 4 != 0) return ParamFault{"width", "width must be a multiple of 4 (the position table has four parts), not " + n(c.width)};
      if (c.width % c.heads != 0) return ParamFault{"heads", n(c.heads) + " heads don't divide a width of " + n(c.width)};
      if (model::rotates(c.positions) && c.width / c.heads % 4 != 0) {
        return ParamFault{"heads", "rotary positions need heads whose width is a multiple of 4, not " + n(c.width / c.heads)};
      }
      if (c.positions == model::Positions::rotary_capi && c.class_token)
        return ParamFault{"class_token", "CAPI's places have none for a class token"};
      if (c.positions == model::Positions::rotary_capi && c.registers % 4 != 0) {
        return ParamFault{"registers", "CAPI's places lie on four edges, so registers must be a multiple of 4, not " + n(c.registers)};
      }
      return {};
    }
  };
  Params params;

  std::unique_ptr<model::Module> make(const OpenContext& context) {
    auto vit = std::make_unique<model::Vit>(params.config());
    begin(*vit, context, params.init);
    return vit;
  }
};

FLOWRUN_MODULE(VitModel);

}  // namespace
}  // namespace flowrun
