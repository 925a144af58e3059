// export: an encoder's weights for timm.
#include <cstdio>
#include <iostream>

#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/app/load/shipped.h"
#include "tools/app/python.h"
#include "tools/app/weights/hub.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {
namespace {

using nlohmann::ordered_json;

/// Python writes them, and says on standard error what is missing. By kind; null: it failed.
ordered_json write_graphs(const app::HubArgs& args) {
  std::vector<std::string> words = {app::shipped_hub(), args.weights.to, "--json"};
  if (args.onnx) words.emplace_back("--onnx");
  if (args.pt2) words.emplace_back("--pt2");
  const app::Finished done = app::run_python(words, "torch and timm");
  return done.status == 0 ? ordered_json::parse(done.printed) : ordered_json();
}

void say_file(const app::ExportArgs& args, const app::Exported& done) {
  const auto number = [&](const char* name) { return done.timm[name].get<int64_t>(); };
  const bool class_token = done.timm["class_token"];
  std::cout << done.from << ": " << done.found << "\n"
            << args.to << ": timm VisionTransformer(img_size=" << number("img_size") << ", patch_size=" << number("patch_size")
            << ", embed_dim=" << number("embed_dim") << ", depth=" << number("depth") << ", num_heads=" << number("num_heads")
            << ", mlp_ratio=" << done.timm["mlp_ratio"].get<double>() << ", class_token=" << (class_token ? "True" : "False")
            << ", reg_tokens=" << number("reg_tokens") << ", no_embed_class=True, num_classes=0"
            << (class_token ? "" : ", global_pool='avg', fc_norm=False") << done.more << ")\n";
}

void say_folder(const app::ExportArgs& args, const app::Exported& done) {
  std::cout << done.from << ": " << done.found << "\n"
            << args.to << ": timm.create_model(\"local-dir:" << args.to << "\", pretrained=True); its model card is README.md\n";
}

void say_graph(const std::string& folder, const ordered_json& graph) {
  char difference[32];
  std::snprintf(difference, sizeof difference, "%.1g", graph["difference"].get<double>());
  std::cout << folder << (folder.ends_with('/') ? "" : "/") << graph["file"].get<std::string>() << ": ";
  if (graph.contains("opset")) std::cout << "ONNX, opset " << graph["opset"] << "; ";
  std::cout << "its features differ from Flowrun's by " << difference << " of the largest\n";
}

}  // namespace

int export_weights(const app::HubArgs& hub) {
  const app::ExportArgs& args = hub.weights;
  const bool file = args.to.ends_with(".safetensors"), graphs = hub.onnx || hub.pt2;
  if (file && graphs) throw PipelineError("error: --onnx and --pt2 write into a folder: name one in place of " + args.to);
  const app::Exported done = file ? app::export_weights(args) : app::export_folder(hub);
  if (!args.json) (file ? say_file : say_folder)(args, done);
  ordered_json out = {{"from", done.from}, {"to", args.to}, {"tensors", done.tensors}, {"timm", done.timm}};
  if (graphs) {
    std::cout.flush();
    const ordered_json written = write_graphs(hub);
    if (written.is_null()) return app::exit_failed;
    out.update(written);
    if (!args.json) {
      for (const auto& graph : written) say_graph(args.to, graph);
    }
  }
  if (args.json) std::cout << json_text(out, 2) << "\n";
  return 0;
}

}  // namespace flowrun::cli
