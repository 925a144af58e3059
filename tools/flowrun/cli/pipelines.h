// pipelines: the pipelines that are shipped with the program.
#pragma once

#include <string>

namespace flowrun::cli {

struct PipelinesArgs {
  std::string folder;  // empty: lists them
  bool json = false;
};

/// Lists them with what they are about, or copies them into a folder.
int pipelines(const PipelinesArgs& args);

}  // namespace flowrun::cli
