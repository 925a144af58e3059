// What a command returns.
#pragma once

namespace flowrun::app {

/// 0: done. A run failed; the pipeline is wrong; stopped on request.
inline constexpr int exit_failed = 1, exit_pipeline = 2, exit_stopped = 75;

}  // namespace flowrun::app
