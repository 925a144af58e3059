#include "tools/app/weights/hub.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

#include "graph/contract/log.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/model/module_type.h"
#include "nodes/lib/tensor/model/resnet.h"
#include "tools/app/json_files.h"
#include "tools/app/results/run_facts.h"
#include "tools/app/results/run_models.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

void write_text(const fs::path& path, const std::string& text) { io::write_file_atomic(path, text); }

std::string pretty(const ordered_json& value) { return json_text(value, 2) + "\n"; }

/// ResNets whose names and layout timm has: those of torchvision.
bool is_timm_resnet(const ordered_json& entry) {
  if (words_at(entry, "type") != "model.resnet") return false;
  const int64_t arch = entry.value("arch", int64_t{0});
  const auto plain = [&](const char* name) { return !entry.contains(name) || entry[name].empty(); };
  return (arch == 18 || arch == 34 || arch == 50) && entry.value("width", int64_t{0}) % 64 == 0 && entry.value("width", int64_t{0}) <= 64 &&
         entry.value("stem_width", int64_t{0}) == 0 && words_at(entry, "stem", "auto") != "small" && plain("stages") &&
         (plain("strides") || entry["strides"] == ordered_json({1, 2, 2, 2}));
}

class Hub {
 public:
  explicit Hub(const HubArgs& args) : args_(args), folder_(fs::absolute(fs::path(args.weights.to) / "x").lexically_normal().parent_path()) {}

  Exported write() {
    find_run();
    if (resnet_) require_timm_resnet();
    fs::create_directories(folder_ / "models");
    for (const char* of_other_weights : {"model.onnx", "model.onnx.data", "model.pt2", "check.safetensors"}) fs::remove(folder_ / of_other_weights);
    Exported done = resnet_ ? resnet() : transformer();
    const std::string model = fs::path(done.from).stem(), checkpoint = fs::path(done.from).parent_path().filename().string();
    if (facts_) step_ = checkpoint.starts_with("step-") ? std::strtoll(checkpoint.c_str() + 5, nullptr, 10) : facts_->last_step;
    write_text(folder_ / "config.json", pretty(config(done)));
    others(done.from);
    write_text(folder_ / "README.md", card(done, model));
    std::error_code ignored;
    fs::remove(folder_ / "models", ignored);  // where it stayed empty
    return done;
  }

 private:
  /// Of a run, or of a checkpoint in one.
  void find_run() {
    if (const auto run = run_of(args_.weights.from)) facts_.emplace(*run);
    if (!facts_) return;
    const std::string name = fs::path(weights_file(args_.weights)).stem();
    model_ = entry_of(facts_->pipeline, name);
    resnet_ = words_at(model_, "type") == "model.resnet";
  }

  Exported transformer() {
    ExportArgs inner = args_.weights;
    inner.to = folder_ / "model.safetensors";
    if (with_graphs()) inner.check = check_file();
    return export_weights(inner);
  }

  void require_timm_resnet() const {
    if (is_timm_resnet(model_)) return;
    throw RunError(weights_file(args_.weights) +
                   " is a ResNet that timm does not have (it has 18, 34 and 50 with the usual stem, widths and strides): that file has torchvision's "
                   "names and shapes as it is");
  }

  Exported resnet() const {
    const fs::path file = weights_file(args_.weights);
    fs::copy_file(file, folder_ / "model.safetensors", fs::copy_options::overwrite_existing);
    if (with_graphs()) {
      model::ResNet resnet(model::resnet_arch(model_["arch"]));
      const Silence silence;
      load_given_weights(resnet, file, "the ResNet");
      write_check(resnet, resnet.config().image, check_file());
    }
    return {.from = file.string(), .found = "torchvision's names", .tensors = 0, .timm = {{"img_size", 224}}, .more = ""};
  }

  bool with_graphs() const { return args_.onnx || args_.pt2; }
  std::string check_file() const { return folder_ / "check.safetensors"; }

  /// Of the node that puts training pictures on the device; ImageNet's where no run is known.
  ordered_json normalisation() const {
    ordered_json out = {{"mean", {0.485, 0.456, 0.406}}, {"std", {0.229, 0.224, 0.225}}};
    if (!facts_ || !facts_->pipeline.contains("nodes")) return out;
    for (const auto& [name, node] : facts_->pipeline["nodes"].items()) {
      if (words_at(node, "type") != "device.upload" || !node.contains("mean")) continue;
      return {{"mean", node["mean"]}, {"std", node["std"]}};
    }
    return out;
  }

  ordered_json config(const Exported& done) const {
    const int64_t side = done.timm.value("img_size", int64_t{224});
    ordered_json pretrained = {{"input_size", {3, side, side}}, {"interpolation", "bicubic"}, {"crop_pct", 1.0}, {"num_classes", 0}};
    pretrained.update(normalisation());
    if (!args_.licence.empty()) pretrained["license"] = args_.licence;
    if (resnet_) {
      const int64_t arch = model_["arch"];
      pretrained.update(ordered_json{{"first_conv", "conv1"}, {"classifier", "fc"}, {"pool_size", {7, 7}}});
      return {{"architecture", "resnet" + std::to_string(arch)},
              {"num_classes", 0},
              {"num_features", arch < 50 ? 512 : 2048},
              {"global_pool", "avg"},
              {"pretrained_cfg", pretrained}};
    }
    pretrained.update(ordered_json{{"first_conv", "patch_embed.proj"}, {"classifier", "head"}, {"fixed_input_size", true}});
    ordered_json arguments = done.timm;
    const bool class_token = arguments["class_token"];
    arguments["no_embed_class"] = true;
    arguments["fc_norm"] = false;
    arguments["global_pool"] = class_token ? "token" : "avg";
    arguments.update(done.timm_more);
    return {{"architecture", "vit_small_patch16_224"}, {"num_classes", 0},        {"num_features", arguments["embed_dim"]},
            {"global_pool", arguments["global_pool"]}, {"model_args", arguments}, {"pretrained_cfg", pretrained}};
  }

  /// Heads and predictors of the same checkpoint; states of optimizers stay there.
  void others(const fs::path& exported) const {
    if (!facts_ || !facts_->pipeline.contains("models")) return;
    for (const auto& [name, entry] : facts_->pipeline["models"].items()) {
      const fs::path file = exported.parent_path() / (name + ".safetensors");
      if (file == exported || !fs::exists(file)) continue;
      fs::copy_file(file, folder_ / "models" / file.filename(), fs::copy_options::overwrite_existing);
    }
  }

  std::string card(const Exported& done, const std::string& model) const {
    std::ostringstream out;
    out << "---\nlibrary_name: timm\npipeline_tag: image-feature-extraction\ntags:\n- image-feature-extraction\n- timm\n- flowrun\n";
    if (!args_.licence.empty()) out << "license: " << args_.licence << "\n";
    out << "---\n\n# " << folder_.filename().string() << "\n\n";
    if (facts_) {
      if (const std::string about = words_at(facts_->pipeline, "about"); !about.empty()) out << about << ".\n\n";
      out << "Trained by Flowrun; these are the weights of its model `" << model << "`.\n\n";
    }
    out << "```python\nimport timm\nmodel = timm.create_model(\"local-dir:" << folder_.filename().string()
        << "\", pretrained=True, num_classes=0).eval()\n"
        << "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))\n```\n";
    if (!done.norm_eps.empty()) {
      out << "\nIts norms have epsilon " << done.norm_eps
          << ", which a configuration of timm can't say: add `norm_layer=partial(torch.nn.LayerNorm, eps=" << done.norm_eps << ")`.\n";
    }
    if (!facts_) return out.str();
    training(out), evaluations(out), data(out);
    out << "\n## Licence\n\n" << (args_.licence.empty() ? "Not said: `flowrun export --licence` writes it here." : args_.licence) << "\n";
    return out.str();
  }

  void training(std::ostream& out) const {
    const ordered_json& pipeline = facts_->pipeline;
    std::string ledger;
    int64_t reported = 0;
    std::optional<double> first, last;
    each_line(facts_->paths.metrics, [&](const ordered_json& line) {
      if (line.value("step", int64_t{0}) > step_) return;
      reported = line.value("step", int64_t{0});
      ledger = words_at(line, "ledger");
      if (!line.contains("loss") || !line["loss"].is_number()) return;
      last = line["loss"].get<double>();
      if (!first) first = last;
    });
    out << "\n## Training\n\n| | |\n|---|---|\n| steps | " << step_ << " |\n| seed | " << pipeline.value("seed", int64_t{0}) << " |\n";
    if (first) out << "| loss, first and last reported | " << short_number(*first) << ", " << short_number(*last) << " |\n";
    if (!ledger.empty()) out << "| ledger of step " << reported << " | `" << ledger << "` |\n";
    out << "\nThe pipeline is in `pipeline.json`. It makes the model again, with the same ledgers:\n\n    flowrun pipeline.json"
        << (step_ < facts_->last_step ? " --set run.steps=" + std::to_string(step_) : "") << "\n";
    write_text(folder_ / "pipeline.json", pretty(pipeline));
    if (fs::exists(facts_->paths.root / "report.html")) {
      fs::copy_file(facts_->paths.root / "report.html", folder_ / "report.html", fs::copy_options::overwrite_existing);
      out << "\nCurves and pictures of the whole run are in `report.html`.\n";
    }
  }

  /// Values at the start, and the newest that are not newer than the weights.
  void evaluations(std::ostream& out) const {
    std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> rows;
    each_line(facts_->paths.root / "evaluations.jsonl", [&](const ordered_json& line) {
      const int64_t step = line.value("step", int64_t{0});
      if (step > step_) return;
      for (const auto& [name, value] : line.items()) {
        if (name == "step" || name == "epoch" || !value.is_number()) continue;
        auto& [begun, ended] = rows[{words_at(line, "node"), name}];
        (step == 0 ? begun : ended) = short_number(value.get<double>());
      }
    });
    if (rows.empty()) return;
    out << "\n## Evaluations\n\n| node | | before training | at step " << step_ << " or before |\n|---|---|---|---|\n";
    for (const auto& [what, values] : rows) {
      out << "| " << what.first << " | " << what.second << " | " << values.first << " | " << values.second << " |\n";
    }
  }

  void data(std::ostream& out) const {
    const ordered_json record = read_json(facts_->paths.root / "data.json");
    if (!record.contains("sources")) return;
    out << "\n## Data\n\n| source | type | samples | hash of names and sizes |\n|---|---|---|---|\n";
    for (const auto& [name, source] : record["sources"].items()) {
      const ordered_json& nodes = facts_->pipeline["nodes"];
      out << "| " << name << " | " << (nodes.contains(name) ? words_at(nodes[name], "type") : "") << " | " << source.value("count", int64_t{0})
          << " | `" << words_at(source, "hash") << "` |\n";
    }
  }

  const HubArgs& args_;
  const fs::path folder_;
  std::optional<RunFacts> facts_;
  ordered_json model_;
  bool resnet_ = false;
  int64_t step_ = 0;  // of the weights
};

}  // namespace

Exported export_folder(const HubArgs& args) {
  try {
    return Hub(args).write();
  } catch (...) {
    std::error_code ignored;
    fs::remove(fs::path(args.weights.to) / "models", ignored), fs::remove(args.weights.to, ignored);  // where they stayed empty
    throw;
  }
}

}  // namespace flowrun::app
