// Node and model types, for people.
#pragma once

#include <string>
#include <vector>

namespace flowrun::cli {

struct TypeArgs {
  std::string type;  // empty: all
  std::string folder;
  bool json = false;
  bool sweep = false;                // schema: of sweep files
  std::vector<std::string> plugins;  // loaded first, so that their types are shown too
};

/// All types, or one.
int help(const TypeArgs& args);
int schema(const TypeArgs& args);
/// Writes one page per family of types into a folder.
int doc(const TypeArgs& args);

}  // namespace flowrun::cli
