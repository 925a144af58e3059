#include "graph/node.h"
#include "nodes/lib/tensor/device/torch_device.h"
#include "nodes/lib/tensor/model/vit.h"

namespace flowrun {
namespace {

struct BlockCopy {
  static constexpr ModelInfo info{.type = "model.block_copy",
                                  .brief = "A vision transformer that starts as some blocks of another: DistilBERT's student.",
                                  .kind = "vit",
                                  .details =
                                      "Patch embedding, tokens, positions and final norm are copied, and of the blocks those that are named, in "
                                      "their order. It then trains on its own; the original stays.",
                                  .also = "encoder"};
  struct Params {
    Ref<model::Vit> of;
    std::vector<int64_t> blocks;
    double drop_path = 0;
    void describe(auto& param) {
      param.reads("of", of, "The vision transformer to copy from.");
      param.required("blocks", blocks, positive, "Its blocks, 1-based and increasing: every second one in DistilBERT.");
      param("drop_path", drop_path, Range{0, 0.9}, "As model.vit's.");
    }
    std::optional<ParamFault> check() const {
      if (blocks.empty()) return ParamFault{"blocks", "blocks must name at least one block"};
      for (size_t i = 1; i < blocks.size(); ++i) {
        if (blocks[i] <= blocks[i - 1]) return ParamFault{"blocks", "blocks must increase"};
      }
      return {};
    }
  };
  Params params;

  std::unique_ptr<Resource> open(const OpenContext& context) {
    const model::Vit& from = *params.of;
    model::VitConfig config = from.config();
    if (params.blocks.back() > config.depth) {
      throw NodeError("block " + std::to_string(params.blocks.back()) + " is asked for, but " + params.of.names[0] + " has " +
                      std::to_string(config.depth));
    }
    if (config.lora_rank > 0) throw NodeError(params.of.names[0] + " has LoRA's additions, which can't be copied block by block");
    config.depth = static_cast<int64_t>(params.blocks.size()), config.drop_path = params.drop_path;
    auto vit = std::make_unique<model::Vit>(config);
    for (const model::Parameter& parameter : vit->parameters())
      vit->parameters().assign(parameter.name, from.parameters().get(source(parameter.name)));
    vit->to(torch_device(context.run), at::kFloat);
    return vit;
  }

 private:
  /// The name in the original: blocks.0.* is that of the first block that is named.
  std::string source(const std::string& name) const {
    constexpr std::string_view prefix = "blocks.";
    if (!name.starts_with(prefix)) return name;
    const size_t end = name.find('.', prefix.size());
    const auto block = static_cast<size_t>(std::stoll(name.substr(prefix.size(), end - prefix.size())));
    return std::string(prefix) + std::to_string(params.blocks[block] - 1) + name.substr(end);
  }
};

FLOWRUN_MODEL(BlockCopy);

}  // namespace
}  // namespace flowrun
