#include "nodes/report/write_checkpoint.h"

#include <nlohmann/json.hpp>

#include "io/checkpoint.h"

namespace flowrun {

std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context) {
  io::CheckpointWriter writer(root, context.step);
  for (const auto& [owner, state] : context.snapshot(context.engine)) {
    std::vector<io::TensorEntry> entries;
    for (const auto& [name, array] : state) {
      entries.push_back({name, array.dtype, array.shape, {static_cast<const std::byte*>(array.data.get()), array.bytes}});
    }
    writer.add_tensors(owner + ".safetensors", entries);
  }
  return writer.commit({{"seed", context.run.seed}, {"steps_per_epoch", context.run.steps_per_epoch}, {"epoch", context.epoch}});
}

}  // namespace flowrun
