#include "tools/app/results/run_models.h"

#include "graph/node.h"
#include "graph/text/error.h"
#include "io/run/checkpoint.h"
#include "io/run/run_directory.h"
#include "tools/app/json_files.h"

namespace flowrun::app {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

std::optional<fs::path> run_of(const fs::path& path) {
  fs::path at = fs::absolute(path).lexically_normal();
  for (int up = 0; up < 4 && !at.empty(); ++up, at = at.parent_path()) {
    if (fs::exists(io::RunPaths(at).pipeline)) return at;
  }
  return std::nullopt;
}

fs::path best_checkpoint(const fs::path& run) {
  if (const auto best = io::newest_complete_checkpoint(io::RunPaths(run).best)) return *best;
  throw PipelineError("error: " + run.string() +
                      " keeps no best checkpoint: its report.checkpoint has no \"best\": \"knn.accuracy\", or no evaluation " + "has run yet");
}

ordered_json entry_of(const ordered_json& pipeline, std::string name) {
  for (int links = 0; links < 8; ++links) {
    if (!pipeline.is_object() || !pipeline.contains("models") || !pipeline["models"].contains(name)) return nullptr;
    const ordered_json& entry = pipeline["models"][name];
    if (words_at(entry, "type") != "model.ema_copy") return entry;
    name = words_at(entry, "of");
  }
  return nullptr;
}

bool is_encoder(const std::string& type) {
  const ModelType* const found = find_model_type(type);
  return found != nullptr && (std::string(found->info.kind) == "encoder" || std::string(found->info.also) == "encoder");
}

}  // namespace flowrun::app
