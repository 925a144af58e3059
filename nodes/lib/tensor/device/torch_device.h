// The device of a run's tensors.
#pragma once

#include <c10/core/Device.h>

#include "graph/contract/context.h"

namespace flowrun {

/// The CPU, or this rank's GPU.
at::Device torch_device(const RunInfo& run);

}  // namespace flowrun
