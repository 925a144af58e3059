// Work that may never end, and must not block the program.
#pragma once

#include <chrono>
#include <functional>

namespace flowrun {

/// Does `work` on a new thread and waits for it, at most `limit`. False: it has not ended. Its thread is then abandoned,
/// and `work` stays alive with everything it holds, which it must own. Exceptions thrown in time are rethrown here.
bool runs_within(std::chrono::milliseconds limit, std::function<void()> work);

/// Whether an abandoned thread is still at work: then the program ends without destroying objects that it may use.
bool threads_left_behind();

}  // namespace flowrun
