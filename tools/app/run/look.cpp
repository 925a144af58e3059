#include "tools/app/run/look.h"

#include "graph/contract/device.h"
#include "graph/contract/log.h"

namespace flowrun::app {

void look_into(CheckedPipeline& pipeline, const std::function<void(Engine&)>& look) {
  const Silence silence;
  pipeline.run.device = host_device();
  pipeline.run.precision = "fp32";
  EngineOptions options;
  options.threads = 1;
  Engine engine(pipeline, std::move(options));
  look(engine);
}

}  // namespace flowrun::app
