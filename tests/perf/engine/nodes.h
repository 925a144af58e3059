// The smallest work of a node, called by both twins and the loop, so that only moving the messages differs.
#pragma once

#include <cstdint>

namespace flowrun::perf {

[[gnu::noinline]] inline double work(double x) { return x * 0.999 + 1.0; }

/// Seconds for `messages` messages on `threads` threads.
double flowrun_chain(int64_t messages, int threads);
double flowrun_diamond(int64_t messages, int threads);
double flowrun_views(int64_t messages, int threads);

inline constexpr int chain_length = 8;
inline constexpr int view_length = 14;  // of each of two branches

}  // namespace flowrun::perf
