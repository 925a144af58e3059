// check, expand: a pipeline before it runs.
#include "tools/flowrun/cli/check.h"

#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/exit.h"
#include "tools/app/load/check.h"

namespace flowrun::cli {

int check(const CheckArgs& args) {
  if (args.json) {
    const nlohmann::ordered_json found = app::check(args.pipeline);
    std::cout << json_text(found, 2) << '\n';
    return found["faults"].empty() ? 0 : app::exit_pipeline;
  }
  const CheckedPipeline pipeline = app::load_checked(args.pipeline);
  std::cout << args.pipeline.file << ": " << pipeline.nodes.size() << (pipeline.nodes.size() == 1 ? " node, " : " nodes, ") << pipeline.models.size()
            << (pipeline.models.size() == 1 ? " model" : " models") << ", no faults\n";
  return 0;
}

int expand(const app::PipelineArgs& args) {
  std::cout << json_text(app::expand(args), 2) << '\n';
  return 0;
}

}  // namespace flowrun::cli
