// Numbers of a GPU that the host wants to see, but not at once.
#pragma once

#include <memory>

#include "nodes/lib/host/device/host_memory.h"
#include "nodes/lib/tensor/tensor.h"

namespace c10 {
struct Event;
}

namespace flowrun {

/// A copy of a tensor on the host. A GPU makes it when it comes to it, and the host goes on meanwhile; on the CPU it is
/// there at once. Device's thread only.
class ReadBack {
 public:
  /// Submits the copy, behind all that the current stream has. `values`: contiguous.
  explicit ReadBack(const Tensor& values);
  /// Waits for the copy.
  ~ReadBack();
  ReadBack(const ReadBack&) = delete;
  ReadBack& operator=(const ReadBack&) = delete;

  /// Whether values() may have to wait.
  bool waits() const { return event_ != nullptr; }
  /// The values, in the host's memory, which is this object's. Waits for the copy; throws what c10 throws when the device is lost.
  const Tensor& values();

 private:
  BatchBytes bytes_;
  Tensor host_;
  std::unique_ptr<c10::Event> event_;  // null: the copy is made
};

}  // namespace flowrun
