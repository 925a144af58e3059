// A device that computes on the host, and writes down in which order it is asked to copy, to record and to wait.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>
#include <string>
#include <vector>

#include "nodes/tensor.h"

namespace flowrun::test {

struct Diary {
  std::vector<std::string> lines;
  c10::StreamId stream = 0;  // the current one
  int64_t events = 0;
  int64_t busy = 0;  // how often it says that an event isn't over, when it is asked
};
/// Empty it with `diary() = {}`. One thread.
Diary& diary();

c10::Device fake_device();
/// The values as a tensor of that device.
Tensor on_fake(const Tensor& host);

}  // namespace flowrun::test
