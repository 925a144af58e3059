// A device that computes on the host, and logs the order of its copies, recorded events and waits. Copies from page-locked
// memory may be left for later, as a busy GPU does.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>
#include <functional>
#include <string>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace flowrun::test {

struct Diary {
  std::vector<std::string> lines;
  c10::StreamId stream = 0;  // the current one
  int64_t events = 0;
  int64_t busy = 0;  // how often it reports that an event isn't over
  bool copies_later = false;
  struct Copy {
    const void* from;
    std::function<void()> work;
  };
  std::vector<Copy> copies;  // not done yet
};
/// Empty it with `diary() = {}`. One thread.
Diary& diary();

/// Does the copies that were left for later.
void do_copies();
/// How often the host was made to wait for the device, by the diary's lines.
int64_t host_waits();

/// While it lives, batches are in memory that this device treats as page-locked. Freed memory is reused at once, unless an
/// unfinished copy reads it, as in LibTorch's cache.
class FakePinnedMemory {
 public:
  FakePinnedMemory();
  ~FakePinnedMemory();
  FakePinnedMemory(const FakePinnedMemory&) = delete;
  FakePinnedMemory& operator=(const FakePinnedMemory&) = delete;
};

c10::Device fake_device();
/// The values as a tensor of that device.
Tensor on_fake(const Tensor& host);

}  // namespace flowrun::test
