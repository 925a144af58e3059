// How much memory this process may still use.
#pragma once

#include <cstddef>

namespace flowrun::app {

/// Bytes: what the system says is available, or less where the control group allows less.
size_t available_memory();

}  // namespace flowrun::app
