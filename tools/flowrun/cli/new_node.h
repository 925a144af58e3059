// new: a node of one's own to begin with.
#pragma once

#include <string>

namespace flowrun::cli {

struct NewNodeArgs {
  std::string type;    // family.name
  std::string folder;  // empty: the name
  std::string scope = "sample";
  bool python = false;
};

/// Writes a node, its pipeline, its test and, of C++, its CMake file into a new folder, and says how to build and test them. Throws PipelineError for
/// a name that is no type's or is taken, and for files that are there already.
int new_node(const NewNodeArgs& args);

}  // namespace flowrun::cli
