// embed and look: features of pictures from a trained encoder, in a file or on a page.
#include "tools/app/embed/embed.h"

#include <iostream>

#include "graph/text/json_text.h"
#include "tools/app/embed/look.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"

namespace flowrun::cli {
namespace {

int say(const app::Embedded& done, bool json) {
  if (done.lines.empty()) return done.status;  // another rank says it
  if (json) {
    std::cout << json_text(done.facts, 2) << "\n";
    return done.status;
  }
  for (const std::string& line : done.lines) std::cout << line << "\n";
  return done.status;
}

}  // namespace

int embed(const app::EmbedArgs& args) {
  const app::Embedded done = app::embed(args, program());
  if (args.print) {
    std::cout << json_text(done.facts["pipeline"], 2) << "\n";
    return done.status;
  }
  return say(done, args.json);
}

int look(const app::LookArgs& args) { return say(app::look(args, program()), args.from.json); }

}  // namespace flowrun::cli
