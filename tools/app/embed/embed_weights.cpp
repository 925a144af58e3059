#include "tools/app/embed/embed_weights.h"

#include <algorithm>
#include <filesystem>

#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "nodes/lib/tensor/model/import.h"
#include "tools/app/json_files.h"
#include "tools/app/load/load.h"
#include "tools/app/results/run_models.h"
#include "tools/app/weights/hub_config.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

/// The usual view: from this side on there is a margin around the square, as evaluations on ImageNet have it.
constexpr int64_t least_with_margin = 128;

std::vector<ordered_json> usual_views(int64_t side) { return square_views(side, side >= least_with_margin ? 0.875 : 1.0); }

std::string view_text(const std::vector<ordered_json>& views) {
  std::string text;
  for (const ordered_json& view : views) {
    const std::string type = words_at(view, "type");
    text += (text.empty() ? "" : ", ") + type.substr(type.find('.') + 1);
    if (view.contains("size")) text += " " + json_text(view["size"]);
  }
  return text.empty() ? "pictures as they are" : text;
}

/// Without what connects it.
ordered_json parameters(const ordered_json& node) {
  ordered_json out = ordered_json::object();
  for (const auto& [key, value] : node.items()) {
    if (key != "type" && key != "in" && key != "stream" && key != "at" && key != "after") out[key] = value;
  }
  return out;
}

/// A run's resolved pipeline.
class RunPipeline {
 public:
  explicit RunPipeline(ordered_json pipeline) : pipeline_(std::move(pipeline)) {}

  const ordered_json& all() const { return pipeline_; }

  /// The nodes eval.features and eval.tokens.
  std::vector<std::string> evaluations() const {
    std::vector<std::string> out;
    for (const auto& [name, node] : pipeline_["nodes"].items()) {
      if (words_at(node, "type") == "eval.features" || words_at(node, "type") == "eval.tokens") out.push_back(name);
    }
    return out;
  }

  const ordered_json& node(const std::string& name) const { return pipeline_["nodes"][name]; }

  /// How the evaluation prepares its pictures, where that is one chain from the decoder on.
  bool read_chain(const std::string& evaluation, EncoderToUse& out) const {
    const std::string upload = before(evaluation, "image");
    if (type(upload) != "device.upload") return false;
    const std::string batch = before(upload, "image");
    if (type(batch) != "batch.stack") return false;
    std::vector<ordered_json> views;
    std::string at = before(batch, "image");
    for (; !type(at).ends_with("decode"); at = before(at, "image")) {
      if (!type(at).starts_with("image.") || node(at)["in"].size() != 1) return false;
      ordered_json view = {{"type", type(at)}};
      view.update(parameters(node(at)));
      views.insert(views.begin(), std::move(view));
    }
    if (node(at)["in"].size() != 1) return false;
    if (type(at) == "image.decode") out.decode = parameters(node(at));
    if (node(at).contains("orientation")) out.decode["orientation"] = node(at)["orientation"];
    out.views = std::move(views), out.upload = parameters(node(upload)), out.batch = node(batch).value("size", int64_t{64});
    return true;
  }

  /// Without such a chain: means and deviations, and the side of the pictures of training; 0: not known.
  int64_t read_training(EncoderToUse& out) const {
    int64_t side = 0;
    for (const auto& [name, node] : pipeline_["nodes"].items()) {
      if (words_at(node, "type") == "device.upload" && out.upload.empty()) out.upload = parameters(node);
      if (words_at(node, "type") == "image.resize" && side == 0) side = node.value("size", int64_t{0});
    }
    return side;
  }

 private:
  std::string type(const std::string& name) const {
    return name.empty() || !pipeline_["nodes"].contains(name) ? "" : words_at(pipeline_["nodes"][name], "type");
  }
  /// The node that an input comes from; empty: none.
  std::string before(const std::string& name, const char* input) const {
    if (type(name).empty() || !node(name).contains("in") || !node(name)["in"].is_object()) return "";
    const std::string from = words_at(node(name)["in"], input);
    return from.substr(0, from.rfind('.'));
  }

  ordered_json pipeline_;
};

/// The newest checkpoint of a run, or the one that the arguments mean.
fs::path checkpoint_of(const EmbedArgs& args, const fs::path& run) {
  const fs::path from = fs::absolute(args.weights).lexically_normal();
  fs::path given = fs::is_directory(from) ? from : from.parent_path();
  if (fs::exists(given / "manifest.json")) {
    if (args.best) throw PipelineError("error: --best needs a run's folder, and " + args.weights + " belongs to a single checkpoint");
    if (args.step > 0) throw PipelineError("error: --step needs a run's folder, and " + args.weights + " belongs to a single checkpoint");
    return given;
  }
  if (args.best) return best_checkpoint(run);
  const fs::path all = io::RunPaths(run).checkpoints;
  if (args.step > 0) {
    if (fs::path there = all / ("step-" + std::to_string(args.step)); fs::exists(there / "manifest.json")) return there;
    std::vector<std::string> steps;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(all, ignored)) {
      if (const std::string name = entry.path().filename(); name.starts_with("step-")) steps.push_back(name.substr(5));
    }
    throw PipelineError("error: " + run.string() + " has no checkpoint of step " + std::to_string(args.step) +
                        (steps.empty() ? "" : "; there are: " + join(steps)));
  }
  if (const auto newest = io::newest_complete_checkpoint(all)) return *newest;
  throw RunError(run.string() + " has no complete checkpoint");
}

/// The encoders of a checkpoint by their names.
std::vector<std::string> encoders_of(const fs::path& checkpoint, const ordered_json& pipeline) {
  std::vector<std::string> out;
  for (const auto& [name, entry] : pipeline["models"].items()) {
    if (fs::exists(checkpoint / (name + ".safetensors")) && is_encoder(words_at(entry_of(pipeline, name), "type"))) out.push_back(name);
  }
  return out;
}

/// The encoder that the arguments mean, else the evaluations', else the usual one.
std::string chosen_model(const EmbedArgs& args, const fs::path& checkpoint, const RunPipeline& run) {
  const std::vector<std::string> there = encoders_of(checkpoint, run.all());
  const auto has = [&](const std::string& name) { return std::find(there.begin(), there.end(), name) != there.end(); };
  const fs::path from(args.weights);
  std::string wanted = args.model.empty() && from.extension() == ".safetensors" ? from.stem().string() : args.model;
  if (!wanted.empty()) {
    if (has(wanted)) return wanted;
    throw PipelineError("error: " + checkpoint.string() + " has no encoder \"" + wanted + "\"; " + did_you_mean(wanted, there) +
                        (there.empty() ? "it has none" : "there are: " + join(there)));
  }
  for (const std::string& name : run.evaluations()) {
    if (has(words_at(run.node(name), "model"))) return words_at(run.node(name), "model");
  }
  for (const char* usual : {"teacher", "student"}) {
    if (has(usual)) return usual;
  }
  if (there.size() == 1) return there[0];
  throw PipelineError("error: " + checkpoint.string() +
                      (there.empty() ? " has no encoder" : " has several encoders; say which with --model: " + join(there)));
}

ordered_json model_entry(ordered_json entry, const std::string& file) {
  const bool pretrained = words_at(entry, "type") == "model.pretrained";
  if (pretrained) entry["lora_rank"] = 0;  // what was trained is merged when it is read
  entry[pretrained ? "file" : "weights"] = file;
  if (entry.contains("drop_path")) entry["drop_path"] = 0;
  return entry;
}

EncoderToUse of_run(const EmbedArgs& args, const fs::path& folder) {
  if (args.size > 0)
    throw PipelineError("error: --size needs a file of weights: a run's pictures are prepared as in the run; change that with --set");
  const RunPipeline run(read_json(io::RunPaths(folder).pipeline));
  if (!run.all().is_object() || !run.all().contains("models") || !run.all().contains("nodes")) throw RunError(folder.string() + " trains no model");
  EncoderToUse out;
  const bool has_plugins = run.all().contains("plugins") && !run.all()["plugins"].empty();
  if (has_plugins && args.trust) {
    for (const ordered_json& path : run.all()["plugins"]) out.plugins.push_back((folder / path.get<std::string>()).lexically_normal().string());
    open_plugins(out.plugins.get<std::vector<std::string>>());
  }
  const fs::path checkpoint = checkpoint_of(args, folder);
  const std::string name = chosen_model(args, checkpoint, run);
  out.file = (checkpoint / (name + ".safetensors")).lexically_proximate(fs::current_path());
  if (out.file.starts_with("../")) out.file = checkpoint / (name + ".safetensors");
  out.model = model_entry(entry_of(run.all(), name), out.file);
  std::string like;
  std::vector<std::string> evaluations = run.evaluations();
  // Those of this encoder first.
  std::stable_partition(evaluations.begin(), evaluations.end(), [&](const std::string& e) { return words_at(run.node(e), "model") == name; });
  for (const std::string& evaluation : evaluations) {
    if (!run.read_chain(evaluation, out)) continue;
    if (words_at(run.node(evaluation), "type") == "eval.features") out.what = words_at(run.node(evaluation), "pool", "mean");
    like = " as " + evaluation + " of the run sees pictures";
    // Its pictures have the side that the encoder takes; pictures of that size stay as they are.
    if (const auto side = out.model.value("image", int64_t{0}); out.views.empty() && side > 0) out.views = square_views(side, 1);
    break;
  }
  if (like.empty()) {
    const int64_t trained = run.read_training(out), side = out.model.value("image", int64_t{0});
    out.views = usual_views(side > 0 ? side : trained > 0 ? trained : 224);
    like = " (the run has no evaluation that tells how)";
  }
  out.said =
      out.file + ": " + view_text(out.views) + like + (has_plugins && !args.trust ? "; the run's plug-ins are not loaded without --trust" : "");
  return out;
}

/// A vision transformer tells its architecture, side and class token.
void read_transformer(const HubConfig& hub, EncoderToUse& out, int64_t& side) {
  try {
    const model::Imported imported = model::to_timm_names(model::read_weights(out.file), model::Layout::automatic);
    const model::VitConfig config = model::infer_config(imported, hub.model.value("heads", int64_t{0}));
    out.model = {{"type", "model.pretrained"}, {"file", out.file}};
    out.model.update(hub.model);
    if (side == 0) side = config.image;
    if (side != config.image) out.model["image"] = side;
  } catch (const model::MissingWeights&) {
    throw;
  } catch (const std::invalid_argument& error) {
    throw RunError(out.file + ": " + error.what() +
                   "\n  a file of weights alone must be of a vision transformer (docs/weights.md); of other encoders give the run's folder, or the "
                   "folder with config.json that flowrun export makes");
  }
}

EncoderToUse of_file(const EmbedArgs& args) {
  if (!args.model.empty() || args.step > 0) throw PipelineError("error: --model and --step need a run, and " + args.weights + " is not in one");
  EncoderToUse out;
  const fs::path from(args.weights);
  out.file = fs::is_directory(from) ? (from / "model.safetensors").string() : args.weights;
  if (fs::is_directory(from) && !fs::exists(out.file)) {
    throw RunError(args.weights + " is neither a run's folder nor a checkpoint nor a folder with model.safetensors and config.json");
  }
  const HubConfig hub(fs::path(out.file).parent_path());
  int64_t side = args.size > 0 ? args.size : hub.side;
  if (hub.architecture.starts_with("resnet")) {
    out.model = {{"type", "model.resnet"}, {"arch", std::strtoll(hub.architecture.c_str() + 6, nullptr, 10)}, {"weights", out.file}};
    if (side == 0) side = 224;
  } else {
    read_transformer(hub, out, side);
  }
  const bool told = !hub.said.empty();
  out.views = told ? hub.views(side) : usual_views(side);
  out.upload = hub.upload;
  if (!hub.what.empty()) out.what = hub.what;
  out.said = out.file + ": " + view_text(out.views) + (told ? " as " + hub.said + " says" : ", mean and standard deviation of ImageNet");
  return out;
}

}  // namespace

EncoderToUse encoder_to_use(const EmbedArgs& args) {
  if (!fs::exists(args.weights)) throw RunError("there is no " + args.weights + ": give a run's folder, a checkpoint, or a file of weights");
  if (const auto run = run_of(args.weights)) {
    const fs::path from = fs::absolute(args.weights).lexically_normal();
    // A file that lies somewhere in the run, such as an exported one, is no checkpoint's.
    const bool in_checkpoint = fs::exists((fs::is_directory(from) ? from : from.parent_path()) / "manifest.json");
    std::error_code ignored;
    if (in_checkpoint || fs::equivalent(from, *run, ignored)) return of_run(args, *run);
  }
  const fs::path from(args.weights);
  if (!fs::is_directory(from) || !fs::exists(from / "manifest.json")) return of_file(args);
  // A checkpoint that was taken out of its run.
  EmbedArgs alone = args;
  alone.model.clear();
  for (const std::string& name : args.model.empty() ? std::vector<std::string>{"teacher", "student"} : std::vector<std::string>{args.model}) {
    if (!fs::exists(from / (name + ".safetensors"))) continue;
    alone.weights = from / (name + ".safetensors");
    return of_file(alone);
  }
  throw RunError(args.weights + " holds no model \"" + (args.model.empty() ? "teacher" : args.model) + "\": say which with --model");
}

}  // namespace flowrun::app
