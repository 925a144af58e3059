// The name of the sample that this thread's node works on, for its messages in the log.
#pragma once

#include <string>

namespace flowrun {

/// The source's key of this thread's sample, while a sample node runs; else empty.
std::string current_sample();

}  // namespace flowrun
