// The present work of a run of another process.
#pragma once

#include <string>

namespace flowrun::cli {

struct TopArgs {
  std::string run;
  double every = 1;  // seconds
  bool once = false, json = false;
};

/// Shows the present work of the process that writes into a run directory.
int top(const TopArgs& args);

}  // namespace flowrun::cli
