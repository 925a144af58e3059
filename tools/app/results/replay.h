// One sample of a run, made again.
#pragma once

#include <cstdint>
#include <string>

namespace flowrun::app {

struct ReplayArgs {
  std::string run;     // directory
  std::string sample;  // index, or the key that the source gives it
  int64_t epoch = 0;   // from 0
  std::string node;    // empty: the last sample nodes, and masks
  std::string png;     // empty: no picture
  int threads = 0;
  bool trust = false;
  bool json = false;
};

/// Shows a sample of a run, node by node, and the ledger of its step.
int replay(const ReplayArgs& args);

}  // namespace flowrun::app
