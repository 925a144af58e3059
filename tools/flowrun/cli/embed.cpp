// embed: features of pictures from a trained encoder.
#include "tools/app/results/embed.h"

#include <iostream>

#include "graph/text/json_text.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"

namespace flowrun::cli {

int embed(const app::EmbedArgs& args) {
  const app::Embedded done = app::embed(args, program());
  if (args.print) {
    std::cout << json_text(done.facts["pipeline"], 2) << "\n";
    return done.status;
  }
  if (done.lines.empty()) return done.status;  // another rank says it
  if (args.json) {
    std::cout << json_text(done.facts, 2) << "\n";
    return done.status;
  }
  for (const std::string& line : done.lines) std::cout << line << "\n";
  return done.status;
}

}  // namespace flowrun::cli
