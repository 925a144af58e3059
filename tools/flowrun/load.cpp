#include "tools/flowrun/load.h"

#include <dlfcn.h>
#include <filesystem>

#include "graph/pipeline.h"

namespace flowrun::tool {
namespace {

void stop_at_faults(const Diagnostics& faults) {
  if (!faults.empty()) throw PipelineError(faults.render());
}

}  // namespace

CheckedPipeline load_checked(const PipelineArgs& args) {
  Diagnostics faults;
  const Value pipeline = load_pipeline(args.file, args.sets, faults);
  if (!pipeline.is(Value::Kind::object)) stop_at_faults(faults);
  const size_t before = faults.count();
  load_plugins(pipeline, faults);
  if (faults.count() != before) stop_at_faults(faults);  // their types would be unknown
  CheckedPipeline checked = validate(pipeline, faults);
  stop_at_faults(faults);
  return checked;
}

void open_plugins(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_GLOBAL)) {
      throw PipelineError(std::string("error: the plug-in can't be loaded: ") + dlerror());
    }
  }
}

}  // namespace flowrun::tool
