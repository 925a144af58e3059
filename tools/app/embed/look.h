// `flowrun look`: a page that shows the features of some pictures.
#pragma once

#include <string>

#include "tools/app/embed/embed.h"

namespace flowrun::app {

struct LookArgs {
  EmbedArgs from;  // weights, data, model, step, best, size, batch, as, folder, no_labels, sets, threads, quiet, json, trust
  std::string out = "look.html";
  int64_t count = 16;      // pictures shown, spread over the data
  int64_t neighbours = 5;  // of each
};

/// Writes the page. Facts: "out", "pictures" (shown), "of", "grid", "bad". In one process. Throws PipelineError and RunError.
Embedded look(const LookArgs& args, Caller& caller);

}  // namespace flowrun::app
