#include "tools/flowrun/pipeline/load.h"

#include <dlfcn.h>
#include <filesystem>

#include "graph/pipeline.h"

namespace flowrun::tool {

Loaded load(const PipelineArgs& args) {
  Loaded out;
  out.pipeline = load_pipeline(args.file, args.sets, out.faults);
  if (!out.pipeline.is(Value::Kind::object)) return out;
  const size_t before = out.faults.count();
  load_plugins(out.pipeline, out.faults);
  if (out.faults.count() != before) return out;  // their types would be unknown
  CheckedPipeline checked = validate(out.pipeline, out.faults);
  if (out.faults.empty()) out.checked = std::move(checked);
  return out;
}

CheckedPipeline load_checked(const PipelineArgs& args) {
  Loaded loaded = load(args);
  if (!loaded.checked) throw PipelineError(loaded.faults.render());
  return std::move(*loaded.checked);
}

void open_plugins(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_GLOBAL)) {
      throw PipelineError(std::string("error: the plug-in can't be loaded: ") + dlerror());
    }
  }
}

}  // namespace flowrun::tool
