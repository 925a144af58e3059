// draw: the graph of a pipeline, printed or into a file.
#include "tools/app/draw/draw.h"

#include <iostream>

#include "io/file.h"
#include "tools/flowrun/cli/commands.h"

namespace flowrun::cli {

int draw(const app::DrawArgs& args) {
  const std::string text = app::draw(args);
  if (args.out.empty()) {
    std::cout << text;
  } else {
    io::write_file_atomic(args.out, text);
  }
  return 0;
}

}  // namespace flowrun::cli
