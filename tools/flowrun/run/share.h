// sweep --share: variants whose input is the same run side by side in one process, and their input is made once.
#pragma once

#include "graph/check/entries.h"
#include "tools/flowrun/run/sweep.h"

namespace flowrun::tool {

/// Variants that run at the same time, by their places in the list; `what` says what they share.
struct Round {
  std::vector<size_t> variants;
  std::string what;  // empty: the variant is alone
};

/// Puts variants together whose nodes from the source to the stack are equal, as many as `memory` bytes hold (0: what is
/// free on this machine). Says on the terminal where memory parts what could be together.
std::vector<Round> plan_rounds(const std::vector<Variant>& variants, size_t memory);

/// Runs all of them here, each into its folder in `out`. The exit status of the worst: 75 when one was stopped.
int run_together(const std::vector<Variant>& variants, const std::filesystem::path& out, const SweepArgs& args);

}  // namespace flowrun::tool
