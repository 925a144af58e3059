#include "tools/app/begin/init.h"

#include <algorithm>
#include <filesystem>

#include "graph/contract/device.h"
#include "graph/text/json_text.h"
#include "io/file.h"
#include "tools/app/begin/recipe_text.h"
#include "tools/app/load/data_kind.h"
#include "tools/app/load/load.h"
#include "tools/app/load/schema.h"
#include "tools/app/plan/devices.h"
#include "tools/app/plan/plan.h"
#include "tools/app/temporary_folder.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr double operations_of_core = 25e9;  // a second; pipelines/cifar10.json reached 35e9 on one core of a server
constexpr double share_of_peak = 0.4;        // as flowrun plan assumes
constexpr double unknown_gpu_peak = 100e12, unknown_gpu_bytes = 24e9;

/// The names that data sets give their parts, the preferred ones first.
const std::vector<std::string> training_names = {"train", "training"};
const std::vector<std::string> held_out_names = {"val", "valid", "validation", "test", "testing"};

std::optional<std::string> part_of(const std::string& data, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::error_code ignored;
    if (fs::is_directory(fs::path(data) / name, ignored)) return (fs::path(data) / name).string();
  }
  return {};
}

/// The source of a part, and its label maps.
ordered_json source_of_part(const std::string& path, const std::string& as, std::optional<LabelMaps>& maps, std::vector<std::string>& remarks) {
  std::error_code ignored;
  if ((as.empty() || as == "folder") && fs::is_directory(path, ignored)) maps = find_label_maps(path, remarks);
  return source_of({maps ? maps->images : path, as, ""});
}

/// The data's sources: those of its parts, if they lie in folders with the usual names.
Sources find_sources(const InitArgs& args, const Say& say) {
  std::vector<std::string> remarks;
  Sources out;
  const auto training = part_of(args.data, training_names);
  out.data = source_of_part(training.value_or(args.data), args.as, out.maps, remarks);
  if (const auto held_out = training ? part_of(args.data, held_out_names) : std::nullopt) {
    out.held_out = source_of_part(*held_out, args.as, out.held_out_maps, remarks);
  }
  const bool usable = out.maps && out.maps->usable && (!out.held_out || (out.held_out_maps && out.held_out_maps->usable));
  if (!usable) out.maps.reset(), out.held_out_maps.reset();
  for (const std::string& remark : remarks) say("warning: " + remark);
  return out;
}

DeviceRuntime& best_device() {
  DeviceRuntime* best = nullptr;
  for (DeviceRuntime* device : flowrun::devices()) {
    if (device->missing().empty()) best = device;
  }
  return best != nullptr ? *best : device_runtime(host_device());
}

/// The kind of run.device that --device names; without --device this machine's best. Null: a name that only flowrun plan may know.
const DeviceRuntime* kind_named(const std::string& name) {
  if (name.empty()) return &best_device();
  for (const DeviceRuntime* kind : flowrun::devices()) {
    if (kind->info().name == name) return kind;
  }
  return nullptr;
}

Machine machine_of(const InitArgs& args, const Say& say) {
  Machine out;
  out.gpus = args.gpus;
  const DeviceRuntime* const kind = kind_named(args.device);
  if (kind != nullptr && kind->info().on_host) {
    if (args.gpus > 1) throw PipelineError("error: --gpus needs a --device that names the kind of GPU");
    const int cores = available_cores();
    out.name = print("%d core%s", cores, cores == 1 ? "" : "s");
    out.operations = operations_of_core * cores;
    return out;
  }
  out.gpu = true;
  const std::string count = args.gpus == 1 ? "" : std::to_string(args.gpus) + " x ";
  if (kind == nullptr) {
    const DeviceFacts& facts = find_device(args.device);
    out.name = count + facts.what, out.gpu_memory = 1e9 * facts.memory_gb;
    out.operations = share_of_peak * 1e12 * facts.bf16 * static_cast<double>(args.gpus);
    return out;
  }
  out.gpu_memory = kind->missing().empty() ? static_cast<double>(kind->memory()) : 0;
  if (out.gpu_memory == 0) {
    out.gpu_memory = unknown_gpu_bytes;
    say(print("warning: this machine shows no GPU: one with %.0f GB is assumed. --device names others", unknown_gpu_bytes / 1e9));
  }
  out.name = count + print("GPU with %.0f GB", out.gpu_memory / 1e9);
  out.operations = share_of_peak * unknown_gpu_peak * static_cast<double>(args.gpus);
  return out;
}

Cost cost_of(const std::string& text, const Machine& machine) {
  const TemporaryFolder folder;
  PlanArgs args;
  args.pipeline.file = folder.file("draft.json");
  io::write_file_atomic(args.pipeline.file, text);
  const auto& known = devices();  // any of the same sort: it decides the kind of arithmetic
  args.device = std::find_if(known.begin(), known.end(), [&](const DeviceFacts& facts) { return facts.on_host != machine.gpu; })->name;
  const ordered_json planned = plan(args);
  const ordered_json& memory = planned.at("memory");
  Cost out;
  out.operations = planned.at("operations").at("per_image");
  const double activations = memory.at("activations");
  out.bytes_of_picture = activations / planned.at("groups").at("images").get<double>();
  out.bytes_fixed = memory.at("all").get<double>() - activations;
  return out;
}

/// NAME.json, of the data's name without what all data are called.
std::string file_of(const InitArgs& args) {
  if (!args.out.empty()) return args.out;
  fs::path data = fs::path(args.data).lexically_normal();
  if (!data.has_filename()) data = data.parent_path();
  const std::string name = data.stem();
  return (name.empty() || name == "." || name == ".." ? "pretrain" : name) + ".json";
}

void require_free(const fs::path& file, bool overwrite) {
  if (fs::exists(file) && !overwrite) throw PipelineError("error: " + file.string() + " exists already: give another -o, or --overwrite");
}

/// Settings that are there already stay as they are.
void write_vscode(const fs::path& pipeline, const Say& say) {
  const fs::path folder = pipeline.parent_path() / ".vscode", settings = folder / "settings.json";
  fs::create_directories(folder);
  io::write_file_atomic(folder / "flowrun.schema.json", json_text(pipeline_schema(), 1) + "\n");
  const ordered_json wanted = {{"json.schemas", {{{"fileMatch", {pipeline.filename().string()}}, {"url", "./.vscode/flowrun.schema.json"}}}},
                               {"files.associations", {{pipeline.filename().string(), "jsonc"}}}};
  if (fs::exists(settings)) {
    say("warning: " + settings.string() + " is there already and stays as it is; add to it: " + json_text(wanted));
    return;
  }
  io::write_file_atomic(settings, json_text(wanted, 2) + "\n");
}

ordered_json json_of(const DataFacts& facts) {
  ordered_json out = {{"place", facts.place}, {"pictures", facts.pictures}, {"classes", facts.classes.size()}};
  out["looked_at"] = facts.looked_at, out["formats"] = facts.formats;
  out["short_side"] = {{"least", facts.least_side}, {"median", facts.short_side}, {"largest", facts.largest_side}};
  out["gray"] = facts.gray, out["deep"] = facts.deep, out["turned"] = facts.turned;
  if (facts.deep > 0) out["range"] = {facts.range.first, facts.range.second};
  out["mean"] = facts.mean, out["std"] = facts.std, out["broken"] = facts.broken;
  return out;
}

ordered_json json_of(const Recipe& recipe) {
  ordered_json out = {{"size", recipe.size}, {"patch", recipe.patch}, {"arch", recipe.arch}, {"width", recipe.width}, {"depth", recipe.depth}};
  out["training"] = recipe.training, out["epochs"] = recipe.epochs, out["steps"] = recipe.steps;
  out["batch"] = recipe.batch, out["group"] = recipe.group, out["lr"] = recipe.lr, out["decay"] = recipe.decay;
  out["evaluates"] = recipe.evaluates, out["known"] = recipe.known, out["unseen"] = recipe.unseen;
  out["images_per_second"] = recipe.images_per_second;
  out["why"] = recipe.why, out["remarks"] = recipe.remarks;
  return out;
}

std::vector<std::string> lines_of(const DataFacts& facts, const Recipe& recipe, const Machine& machine, const std::string& file) {
  std::string data = print("%s: %llu pictures, %s, shorter side %s", facts.place.c_str(), static_cast<unsigned long long>(facts.pictures),
                           formats_text(facts).c_str(), sides_text(facts).c_str());
  if (facts.gray) data += ", gray";
  if (facts.deep > 0) data += print(", values %.6g to %.6g", facts.range.first, facts.range.second);
  data += recipe.segments ? ", label maps" : facts.classes.size() > 1 ? print(", %zu classes", facts.classes.size()) : ", no classes";
  const std::string encoder =
      recipe.arch.empty() ? print("ViT of width %lld and %lld blocks", static_cast<long long>(recipe.width), static_cast<long long>(recipe.depth))
                          : "ViT-" + recipe.arch;
  std::vector<std::string> out = {data};
  out.push_back(print("for %s: %s, views of %lld pixels, patches of %lld", machine.name.c_str(), encoder.c_str(), static_cast<long long>(recipe.size),
                      static_cast<long long>(recipe.patch)));
  out.push_back(print("%lld epochs of %lld pictures, batch %lld (groups of %lld): %lld steps", static_cast<long long>(recipe.epochs),
                      static_cast<long long>(recipe.training), static_cast<long long>(recipe.batch), static_cast<long long>(recipe.group),
                      static_cast<long long>(recipe.steps)));
  const double seconds = static_cast<double>(recipe.epochs * recipe.training) / recipe.images_per_second;
  out.push_back("about " + rough_duration(seconds) + " as assumed; flowrun profile " + file + " measures");
  out.push_back(recipe.segments    ? print("segmentation by the nearest patches, on %lld unseen pictures", static_cast<long long>(recipe.unseen))
                : recipe.evaluates ? print("kNN and a linear probe on %lld unseen pictures", static_cast<long long>(recipe.unseen))
                                   : "no evaluation: nothing says what is in the pictures. report.health watches for collapse");
  return out;
}

}  // namespace

Begun init(const InitArgs& args, const Say& say) {
  const fs::path file = file_of(args);
  require_free(file, args.overwrite);
  const Machine machine = machine_of(args, say);
  const Sources sources = find_sources(args, say);
  const DataFacts facts = look_at(sources.data, args.pictures);
  for (const std::string& remark : facts.remarks) say("warning: " + remark);
  for (const std::string& broken : facts.broken) say("warning: " + broken);
  OtherParts parts{.maps = sources.maps.has_value()};
  if (sources.held_out) parts.held_out = look_at(*sources.held_out, std::min<uint64_t>(args.pictures, 16)).pictures;
  const Recipe recipe = make_recipe(facts, parts, machine, args.wishes,
                                    [&](const Recipe& draft) { return cost_of(recipe_text(draft, facts, sources, machine.name, true), machine); });
  for (const std::string& remark : recipe.remarks) say("warning: " + remark);
  if (file.has_parent_path()) fs::create_directories(file.parent_path());
  io::write_file_atomic(file, recipe_text(recipe, facts, sources, machine.name));
  load_checked({file.string(), {}});
  if (args.vscode) write_vscode(file, say);
  Begun out{file.string(), lines_of(facts, recipe, machine, file.string()), {}};
  out.facts = {{"file", file.string()}, {"data", json_of(facts)}, {"recipe", json_of(recipe)}};
  return out;
}

}  // namespace flowrun::app
