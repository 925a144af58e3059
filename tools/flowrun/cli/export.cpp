// export: an encoder's weights for timm.
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/results/hub.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {

int export_weights(const app::HubArgs& hub) {
  const app::ExportArgs& args = hub.weights;
  const bool file = args.to.ends_with(".safetensors");
  const app::Exported done = file ? app::export_weights(args) : app::export_folder(hub);
  if (args.json) {
    std::cout << json_text(nlohmann::ordered_json{{"from", done.from}, {"to", args.to}, {"tensors", done.tensors}, {"timm", done.timm}}, 2) << "\n";
    return 0;
  }
  if (!file) {
    std::cout << done.from << ": " << done.found << "\n"
              << args.to << ": timm.create_model(\"local-dir:" << args.to << "\", pretrained=True); its model card is README.md\n";
    return 0;
  }
  const auto number = [&](const char* name) { return done.timm[name].get<int64_t>(); };
  const bool class_token = done.timm["class_token"];
  std::cout << done.from << ": " << done.found << "\n"
            << args.to << ": timm VisionTransformer(img_size=" << number("img_size") << ", patch_size=" << number("patch_size")
            << ", embed_dim=" << number("embed_dim") << ", depth=" << number("depth") << ", num_heads=" << number("num_heads")
            << ", mlp_ratio=" << done.timm["mlp_ratio"].get<double>() << ", class_token=" << (class_token ? "True" : "False")
            << ", reg_tokens=" << number("reg_tokens") << ", no_embed_class=True, num_classes=0"
            << (class_token ? "" : ", global_pool='avg', fc_norm=False") << done.more << ")\n";
  return 0;
}

}  // namespace flowrun::cli
