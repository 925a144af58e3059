#include "nodes/lib/tensor/report/write_checkpoint.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "graph/text/error.h"
#include "graph/text/names.h"
#include "io/run/checkpoint.h"
#include "nodes/lib/tensor/ranks/ranks.h"
#include "nodes/lib/tensor/types/tensor_state.h"

namespace flowrun {
namespace {

/// The head of a probe that an array belongs to: "3" of "heads.3.query" and "probe.heads.3.query.exp_avg"; empty: none.
std::string head_of(const std::string& name) {
  const size_t at = name.starts_with("heads.") ? 0 : name.find(".heads.");
  if (at == std::string::npos) return "";
  const size_t begin = name.find("heads.", at) + 6;
  return name.substr(begin, name.find('.', begin) - begin);
}

/// The first array that is not finite, or "". Heads of a probe compete, and a head that diverges only loses: it counts when
/// no head is left.
std::string first_not_finite(const State& state) {
  std::set<std::string> heads, lost;
  std::string of_head;
  for (const auto& [name, array] : state) {
    const std::string head = head_of(name);
    if (!head.empty()) heads.insert(head);
    if (lost.contains(head) || is_finite(array)) continue;
    if (head.empty()) return name;
    lost.insert(head);
    if (of_head.empty()) of_head = name;
  }
  return lost.size() == heads.size() ? of_head : "";
}

void require_finite(const Snapshot& snapshot, const std::filesystem::path& root, int64_t step) {
  for (const auto& [owner, state] : snapshot) {
    const std::string name = first_not_finite(state);
    if (name.empty()) continue;
    const auto sound = io::newest_complete_checkpoint(root);
    throw NodeError(owner + " is not finite after step " + std::to_string(step) + ": " + name + "; no checkpoint of it is written\n  " +
                    (sound ? sound->filename().string() + " is whole, and --resume goes on from there; where that ends here again, begin"
                           : std::string("there is none before it: begin")) +
                    " a new run with a lower lr.max or a longer warm-up");
  }
}

}  // namespace

std::filesystem::path write_checkpoint(const std::filesystem::path& root, const StepContext& context, NotFinite values,
                                       const nlohmann::ordered_json& more) {
  BeforeCheckpoint::reach(context.run);
  if (!ranks::prepare_snapshot(context.run)) {
    log_warning("no checkpoint of step " + std::to_string(context.step) + ": other ranks have a part of the optimizer's state");
    return {};
  }
  if (context.run.directory.empty()) return {};
  const Snapshot snapshot = context.view.snapshot();
  if (values == NotFinite::refuse) require_finite(snapshot, root, context.step);
  io::CheckpointWriter writer(root, context.step);
  for (const auto& [owner, state] : snapshot) {
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
    writer.add_tensors(file_stem(owner) + ".safetensors", entries, metadata);
  }
  nlohmann::ordered_json facts = {{"seed", context.run.seed}, {"steps_per_epoch", context.run.steps_per_epoch}, {"epoch", context.epoch}};
  if (!context.run.classes.empty()) facts["classes"] = context.run.classes;  // what the numbers of heads mean
  facts.update(more);
  return writer.commit(facts);
}

}  // namespace flowrun
