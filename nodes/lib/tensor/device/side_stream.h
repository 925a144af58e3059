// CUDA streams besides the main CUDA stream of the device's thread: for the teacher's pass, and for copies of batches. On
// the CPU there is one order of work, and all of this does nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace c10 {
struct Event;
}

namespace flowrun {

/// The end of work on a side stream. Travels with the results of that work; copies are the same event. Device's thread
/// only.
class Arrival {
 public:
  /// The current CUDA stream continues only when the work is done; `made` is then safe to read, and to free. The host
  /// doesn't wait. An event of recorded work is not an event outside of it: work after the recording is after its side
  /// stream, too, so there is nothing to wait for.
  void wait(const Tensor& made) const;

 private:
  friend class SideStream;
  std::shared_ptr<c10::Event> event_;  // null: there was no side stream
  int64_t recording_ = 0;              // recording::number() when it was made
};

/// While it lives, work of this thread is submitted to the side stream of `device`, after all present work of the current
/// CUDA stream. One at a time; device's thread only.
class SideStream {
 public:
  /// `reads`: tensors made on the current CUDA stream; their memory is not reused before the side stream is done with
  /// it.
  SideStream(at::Device device, const std::vector<Tensor>& reads);
  ~SideStream();
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

  /// The end of all submitted work; must be the last call.
  Arrival arrival();

  /// The current CUDA stream continues only when all work on the side stream of `device` is done: call it before
  /// writing to memory that such work may read, such as the teacher's weights.
  static void join(at::Device device);
  /// From here on nothing waits for present work of the side stream. Called when recording begins and ends: recorded and
  /// other work can't wait for each other, but run one after the other.
  static void forget();

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
  bool arrived_ = false;
};

/// While it lives, work of this thread is submitted to a CUDA stream of `device` for copies from the host, which waits for
/// nothing: a batch is copied while the main CUDA stream works on the batches before it. One at a time; device's thread
/// only.
class CopyStream {
 public:
  explicit CopyStream(at::Device device);
  ~CopyStream();
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;

  /// Returns to the main CUDA stream, which continues only when the copies are done: `copied` are then safe to read there,
  /// and to free.
  void end(const std::vector<Tensor>& copied);

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
};

}  // namespace flowrun
