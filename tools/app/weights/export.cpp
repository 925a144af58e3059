#include "tools/app/weights/export.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/model/import.h"
#include "nodes/lib/tensor/model/sample_features.h"
#include "tools/app/results/run_models.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

fs::path chosen_file(const fs::path& from, const std::string& model, bool best) {
  if (best && (!fs::is_directory(from) || fs::exists(from / "manifest.json")))
    throw RunError("--best needs a run's folder, and " + from.string() + " is no run's folder");
  if (!fs::is_directory(from)) return from;
  fs::path checkpoint = from;
  if (best) {
    checkpoint = best_checkpoint(from);
  } else if (!fs::exists(from / "manifest.json")) {
    const auto newest = io::newest_complete_checkpoint(io::RunPaths(from).checkpoints);
    if (!newest) throw RunError(from.string() + " is neither a checkpoint nor a run directory with one");
    checkpoint = *newest;
  }
  for (const std::string& name : model.empty() ? std::vector<std::string>{"teacher", "student"} : std::vector<std::string>{model}) {
    fs::path file = checkpoint / (name + ".safetensors");
    if (fs::exists(file)) return file;
  }
  std::vector<std::string> there;
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    if (entry.path().extension() == ".safetensors") there.push_back(entry.path().stem().string());
  }
  throw RunError(checkpoint.string() + " holds no model \"" + (model.empty() ? "teacher" : model) + "\"; say which with --model: " + join(there));
}

/// Of timm's VisionTransformer, where its defaults are others.
std::string more_arguments(const model::VitConfig& config) {
  std::string out;
  if (config.layer_scale > 0) out += ", init_values=1e-5";
  if (config.pre_norm) out += ", pre_norm=True";
  if (config.quick_gelu) out += ", act_layer='quick_gelu'";
  if (config.norm_eps != model::VitConfig().norm_eps)
    out += ", norm_layer=partial(LayerNorm, eps=" + json_text(nlohmann::json(config.norm_eps)) + ")";
  return out;
}

ordered_json more_json(const model::VitConfig& config) {
  ordered_json out = ordered_json::object();
  if (config.layer_scale > 0) out["init_values"] = 1e-5;
  if (config.pre_norm) out["pre_norm"] = true;
  if (config.quick_gelu) out["act_layer"] = "quick_gelu";
  return out;
}

io::TensorEntry tensor_entry(const std::string& name, const Tensor& tensor) {
  return {name, "F32", tensor.sizes().vec(), {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

}  // namespace

std::string weights_file(const ExportArgs& args) { return chosen_file(args.from, args.model, args.best).string(); }

void write_check(const model::Encoder& encoder, int64_t side, const std::string& file) {
  const model::SampleFeatures found = model::sample_features(encoder, side);
  const io::TensorEntry entries[] = {tensor_entry("images", found.images_BCHW), tensor_entry("features", found.features_BD)};
  io::write_safetensors(file, entries);
}

Exported export_weights(const ExportArgs& args) {
  const fs::path file = weights_file(args);
  const model::Imported imported = model::to_timm_names(model::read_weights(file.string()), model::Layout::automatic);
  model::Vit vit(model::infer_config(imported, args.heads));
  if (model::rotates(vit.config().positions)) {
    throw RunError(file.string() + " has rotary positions, which timm's VisionTransformer does not have; model.pretrained reads the file as it is");
  }
  if (vit.config().time) {
    throw RunError(file.string() +
                   " has norms that adapt to a time, which timm's VisionTransformer does not have; model.pretrained reads the file as it is");
  }
  if (args.allow_partial) vit.parameters().initialise(0);
  const model::ImportReport report = model::load_weights(vit, imported);
  if (!report.complete() && !args.allow_partial) {
    throw RunError(file.string() + ": " + report.text() + ". --allow-partial exports it anyway: missing weights keep their initial values");
  }
  std::vector<Tensor> kept;
  std::vector<io::TensorEntry> entries;
  for (const auto& [name, tensor] : model::timm_state(vit)) {
    kept.push_back(tensor.contiguous());
    const std::span<const float> values(kept.back().const_data_ptr<float>(), static_cast<size_t>(kept.back().numel()));
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
      throw RunError(file.string() + ": " + name + " is not finite: the run had diverged when it was saved");
    }
    entries.push_back(tensor_entry(name, kept.back()));
  }
  const model::VitConfig& config = vit.config();
  io::TensorMetadata notes = {{"heads", std::to_string(config.heads)}};
  if (config.quick_gelu) notes["quick_gelu"] = "1";
  if (config.norm_eps != model::VitConfig().norm_eps) notes["norm_eps"] = json_text(nlohmann::json(config.norm_eps));
  io::write_safetensors(args.to, entries, notes);
  if (!args.check.empty()) write_check(vit, config.image, args.check);
  return {.from = file.string(),
          .found = report.text(),
          .tensors = entries.size(),
          .timm = {{"img_size", config.image},
                   {"patch_size", config.patch},
                   {"embed_dim", config.width},
                   {"depth", config.depth},
                   {"num_heads", config.heads},
                   {"mlp_ratio", config.mlp_ratio},
                   {"class_token", config.class_token},
                   {"reg_tokens", config.registers}},
          .more = more_arguments(config),
          .timm_more = more_json(config),
          .norm_eps = config.norm_eps == model::VitConfig().norm_eps ? "" : json_text(nlohmann::json(config.norm_eps))};
}

}  // namespace flowrun::app
