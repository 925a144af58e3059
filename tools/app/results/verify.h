// The ledgers of a run, made again.
#pragma once

#include <cstdint>
#include <string>

namespace flowrun::app {

struct VerifyArgs {
  std::string run;    // directory
  int64_t step = 0;   // 0: see steps
  std::string steps;  // FIRST:LAST; empty: some, spread over the run
  int threads = 0;
  bool trust = false;
  bool json = false;
};

/// Repeats ledgers of a run, and compares them with its metrics.
int verify(const VerifyArgs& args);

}  // namespace flowrun::app
