#include "graph/node.h"
#include "io/error.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/model/import.h"
#include "nodes/lib/tensor/model/model_params.h"

namespace flowrun {
namespace {

struct Pretrained {
  static constexpr ModelInfo info{
      .type = "model.pretrained",
      .brief = "A vision transformer from a file of weights, which also tells its architecture: to evaluate, to fine-tune, or as a frozen teacher.",
      .kind = "vit",
      .details =
          "Reads safetensors: a checkpoint's student.safetensors or teacher.safetensors, or weights of timm, MAE, I-JEPA, DINOv2 and Hugging Face's "
          "ViT, DINOv2 and I-JEPA. Every parameter must be found, and every tensor of the file must be used or be known not to belong to an encoder "
          "(decoder, head, mask token); the log says \"matched x of y\". Positions of another grid are resampled, bicubic. With lora_rank the "
          "attention's weights get an addition, and an optimizer trains only that.",
      .also = "encoder"};
  struct Params {
    std::string file, layout = "auto";
    int64_t heads = 0, image = 0, lora_rank = 0;
    double drop_path = 0, lora_alpha = 16, norm_eps = 0;
    bool quick_gelu = false, allow_partial = false;
    void describe(auto& param) {
      param.required("file", file, "The weights; relative to where the program is started.");
      param("layout", layout, layouts(), "Whose names the file has. auto: told from the names. timm: also MAE, I-JEPA, DINOv2 and Flowrun.");
      param("heads", heads, Range{0, 1024}, "Attention heads; 0: what the file notes, else as published ViTs of that width have.");
      param("image", image, Range{0, 16384}, "Side of the square input, pixels; 0: what the positions in the file are made for.");
      param("norm_eps", norm_eps, Range{0, 1e-2}, "Of the layer norms; Hugging Face's ViT has 1e-12. 0: what the file notes, else 1e-6.");
      param("quick_gelu", quick_gelu, "Whether the MLPs have the quick GELU, as CLIP's; Flowrun's own files note it.");
      param("drop_path", drop_path, Range{0, 0.9}, "As model.vit's.");
      param("lora_rank", lora_rank, Range{0, 1024}, "Rank of a trained addition to the attention's weights (Hu et al. 2021); 0: none.");
      param("lora_alpha", lora_alpha, Range{0}, "The addition weighs lora_alpha / lora_rank.");
      param("allow_partial", allow_partial, "Whether parameters that the file lacks may keep their initial values.");
    }
    static const Choices& layouts() {
      static const Choices choices = {"auto", "timm", "huggingface"};
      return choices;
    }
  };
  Params params;

  std::unique_ptr<Resource> open(const OpenContext& context) {
    try {
      return load(context);
    } catch (const model::MissingWeights&) {
      throw;
    } catch (const std::exception& error) {
      const std::string text = error.what();
      throw NodeError(text.find(params.file) == std::string::npos ? params.file + ": " + text : text);
    }
  }

 private:
  std::unique_ptr<Resource> load(const OpenContext& context) const {
    const model::Layout layout = params.layout == "auto"   ? model::Layout::automatic
                                 : params.layout == "timm" ? model::Layout::timm
                                                           : model::Layout::huggingface;
    const model::Imported imported = model::to_timm_names(model::read_weights(params.file), layout);
    model::VitConfig config = model::infer_config(imported, params.heads);
    if (params.image > 0) config.image = params.image;
    if (params.norm_eps > 0) config.norm_eps = params.norm_eps;
    if (params.quick_gelu) config.quick_gelu = true;
    config.drop_path = params.drop_path;
    config.lora_rank = params.lora_rank, config.lora_alpha = params.lora_alpha;
    auto vit = std::make_unique<model::Vit>(config);
    vit->parameters().initialise(weight_seed(context));
    const model::ImportReport report = model::load_weights(*vit, imported);
    if (!report.complete() && !params.allow_partial) {
      throw NodeError(report.text() + ". Set \"allow_partial\" to true to go on all the same");
    }
    log_info(context.name + ": " + params.file + ": " + report.text());
    vit->to(torch_device(context.run), at::kFloat);
    return vit;
  }
};

FLOWRUN_MODEL(Pretrained);

}  // namespace
}  // namespace flowrun
