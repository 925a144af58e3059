// sweep --share: variants with the same input run side by side in one process, and their input is made once.
#pragma once

#include "graph/check/entries.h"
#include "tools/app/sweep/sweep.h"

namespace flowrun::app {

/// Variants that run at the same time, by their places in the list; `what` describes the shared nodes.
struct Round {
  std::vector<size_t> variants;
  std::string what;  // empty: the variant is alone
};

/// Combines variants whose nodes from the source to the stack are equal, as many as fit into `memory` bytes (0: the free
/// memory of this machine). Says when memory splits variants that could run together.
std::vector<Round> plan_rounds(const std::vector<Variant>& variants, size_t memory, Caller& caller);

/// Runs all of them here, each into its folder in `out`. The exit status of the worst: 75 when one was stopped.
int run_together(const std::vector<Variant>& variants, const std::filesystem::path& out, const SweepArgs& args, Caller& caller);

}  // namespace flowrun::app
