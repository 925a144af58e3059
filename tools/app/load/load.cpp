#include "tools/app/load/load.h"

#include <filesystem>
#include <map>

#include "graph/check/plugins.h"
#include "graph/compose/pipeline.h"
#include "tools/app/load/evaluations.h"
#include "tools/app/load/shapes.h"

namespace flowrun::app {
namespace {

/// A checkpoint that an evaluation chooses ("best") names one of the pipeline's, and what it reports.
void check_best(CheckedPipeline& pipeline, Diagnostics& faults) {
  for (CheckedNode& node : pipeline.nodes) {
    if (node.type->info.type != std::string("report.checkpoint")) continue;
    const std::string best = write_params(node.node->params()).value("best", "");
    if (best.empty()) continue;
    if (const auto fault = not_reported(evaluations_of(pipeline), best))
      faults.error(node.where, node.name + ": best: " + fault->message, fault->hint);
  }
}

/// Nodes that write a picture, or rows, each have a file of their own.
void check_files(CheckedPipeline& pipeline, Diagnostics& faults) {
  std::map<std::string, std::string> writers;  // by file
  for (CheckedNode& node : pipeline.nodes) {
    const std::string type = node.type->info.type;
    if (!type.starts_with("report.") && type != "eval.rows") continue;
    const std::string file = write_params(node.node->params()).value("file", "");
    if (file.empty()) continue;
    const auto [first, added] = writers.emplace(std::filesystem::path(file).lexically_normal(), node.name);
    if (!added) faults.error(node.where, node.name + ": " + first->second + " writes " + file + ", too", "give one of them another \"file\"");
  }
}

}  // namespace

Loaded load(const PipelineArgs& args) {
  Loaded out;
  out.pipeline = load_pipeline(args.file, args.sets, out.faults);
  if (!out.pipeline.is(Value::Kind::object)) return out;
  const size_t before = out.faults.count();
  load_plugins(out.pipeline, args.trust, out.faults);
  if (out.faults.count() != before) return out;  // their types would be unknown
  CheckedPipeline checked = validate(out.pipeline, out.faults, args.batches_leave);
  if (!out.faults.empty()) return out;
  check_best(checked, out.faults);
  check_files(checked, out.faults);
  check_shapes(checked, out.pipeline, out.faults);
  // Its references name models that are gone.
  if (out.faults.empty()) out.checked = validate(out.pipeline, out.faults, args.batches_leave);
  return out;
}

CheckedPipeline load_checked(const PipelineArgs& args) {
  Loaded loaded = load(args);
  if (!loaded.checked) throw PipelineError(loaded.faults.render());
  return std::move(*loaded.checked);
}

void open_plugins(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::string fault = open_plugin(std::filesystem::absolute(path).string());
    if (!fault.empty()) throw PipelineError("error: the plug-in can't be loaded: " + fault);
  }
}

}  // namespace flowrun::app
