// Work that a GPU may do beside the main stream of the device's thread: the teacher's pass, copies of batches. On the CPU
// there is one order of work, and everything here does nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nodes/lib/tensor/tensor.h"

namespace c10 {
struct Event;
}

namespace flowrun {

/// The end of work on a side stream. Travels with what that work made; copies are the same event. Device's thread only.
class Arrival {
 public:
  /// The current stream goes on only when the work is done; `made` is then safe to read, and to free. The host doesn't
  /// wait. An event of recorded work is no event outside of it: what is behind the recording is behind its side stream, too,
  /// so there is nothing to wait for.
  void wait(const Tensor& made) const;

 private:
  friend class SideStream;
  std::shared_ptr<c10::Event> event_;  // null: there was no side stream
  int64_t recording_ = 0;              // recording::number() when it was made
};

/// While it lives, what this thread submits goes to the side stream of `device`, behind all that the current stream has so
/// far. One at a time; device's thread only.
class SideStream {
 public:
  /// `reads`: made on the current stream; their memory is not given away before the side stream is done with it.
  SideStream(at::Device device, const std::vector<Tensor>& reads);
  ~SideStream();
  SideStream(const SideStream&) = delete;
  SideStream& operator=(const SideStream&) = delete;

  /// Of all that is submitted; the last call.
  Arrival arrival();

  /// The current stream goes on only when all work on the side stream of `device` is done: before something is written
  /// that such work may read, such as the teacher's weights.
  static void join(at::Device device);
  /// Nothing on the side stream has to be waited for any more. Where recording begins and ends: what is recorded and what
  /// isn't can't wait for each other, but are one behind the other.
  static void forget();

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
  bool arrived_ = false;
};

/// While it lives, what this thread submits goes to a stream of `device` for copies from the host, which waits for nothing:
/// a batch is copied while the main stream is at work on those before it. One at a time; device's thread only.
class CopyStream {
 public:
  explicit CopyStream(at::Device device);
  ~CopyStream();
  CopyStream(const CopyStream&) = delete;
  CopyStream& operator=(const CopyStream&) = delete;

  /// Back to the main stream, which goes on only when the copies are done: `copied` are then safe to read there, and to free.
  void end(const std::vector<Tensor>& copied);

 private:
  struct Guard;
  std::unique_ptr<Guard> guard_;
};

}  // namespace flowrun
