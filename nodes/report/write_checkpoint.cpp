#include "nodes/report/write_checkpoint.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"
#include "nodes/ranks/ranks.h"

namespace flowrun {

std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context) {
  if (!ranks::prepare_snapshot(context.run)) {
    log_warning("no checkpoint of step " + std::to_string(context.step) + ": other ranks have a part of the optimizer's state");
    return {};
  }
  if (context.run.directory.empty()) return {};
  io::CheckpointWriter writer(root, context.step);
  for (const auto& [owner, state] : context.snapshot(context.engine)) {
    std::vector<io::TensorEntry> entries;
    io::TensorMetadata metadata;
    for (const auto& [name, array] : state) {
      if (name.starts_with('@')) {
        char text[32];
        std::snprintf(text, sizeof text, "%.17g", *static_cast<const double*>(array.data.get()));
        metadata[name.substr(1)] = text;
        continue;
      }
      entries.push_back({name, array.dtype, array.shape, {static_cast<const std::byte*>(array.data.get()), array.bytes}});
    }
    writer.add_tensors(owner + ".safetensors", entries, metadata);
  }
  return writer.commit({{"seed", context.run.seed}, {"steps_per_epoch", context.run.steps_per_epoch}, {"epoch", context.epoch}});
}

}  // namespace flowrun
