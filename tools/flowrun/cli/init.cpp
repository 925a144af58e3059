// init: a pipeline made for a user's pictures.
#include "tools/app/begin/init.h"

#include <cstdlib>
#include <iostream>

#include "graph/text/json_text.h"
#include "tools/flowrun/cli/commands.h"
#include "tools/flowrun/cli/program.h"

namespace flowrun::cli {

int init(const app::InitArgs& args) {
  const app::Begun begun = app::init(args, say);
  if (args.json) {
    std::cout << json_text(begun.facts, 2) << "\n";
    return 0;
  }
  for (const std::string& line : begun.lines) std::cout << line << "\n";
  std::cout << "\n" << begun.file << " is written, with the rules behind its numbers. Next:\n";
  const char* const called = std::getenv("FLOWRUN_COMMAND");  // tools/run, in a clone
  std::cout << "  " << (called != nullptr ? called : "flowrun") << " run " << begun.file
            << "      trains; --set run.steps=20 --out runs/look for a first look\n";
  return 0;
}

}  // namespace flowrun::cli
