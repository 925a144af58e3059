// Work that may never end, and must not keep the program from going on.
#pragma once

#include <chrono>
#include <functional>

namespace flowrun {

/// Does `work` on a thread of its own and waits for it, `limit` at most. False: it has not ended; then its thread is left
/// behind, and `work` lives on with all that it holds, which must be its own. What it throws in time is thrown here.
bool runs_within(std::chrono::milliseconds limit, std::function<void()> work);

/// Whether a thread that was left behind is still at work: then the program ends without destroying what it may use.
bool threads_left_behind();

}  // namespace flowrun
