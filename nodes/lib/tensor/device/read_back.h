// Values of a GPU that the host needs, but not at once.
#pragma once

#include <memory>

#include "nodes/lib/host/device/host_memory.h"
#include "nodes/lib/tensor/tensor.h"

namespace c10 {
struct Event;
}

namespace flowrun {

/// A copy of a tensor on the host. A GPU makes it in its turn, and the host continues meanwhile; on the CPU it is there
/// at once. Device's thread only.
class ReadBack {
 public:
  /// Submits the copy, after all work of the current CUDA stream. `values`: contiguous.
  explicit ReadBack(const Tensor& values);
  /// Waits for the copy.
  ~ReadBack();
  ReadBack(const ReadBack&) = delete;
  ReadBack& operator=(const ReadBack&) = delete;

  /// Whether values() may have to wait.
  bool waits() const { return event_ != nullptr; }
  /// The values, in host memory that this object owns. Waits for the copy; throws c10's exception when the device is lost.
  const Tensor& values();

 private:
  BatchBytes bytes_;
  Tensor host_;
  std::unique_ptr<c10::Event> event_;  // null: the copy is done
};

}  // namespace flowrun
