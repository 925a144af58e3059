// Recordings of the device thread's work: the interface for nodes, and the interface that a device implements.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "graph/contract/device.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun::recording {

// For types that travel between nodes: see TypeOps::shape and refill.

/// "bf16 64 3 224 224"; "none" for an undefined tensor.
std::string shape(const Tensor& x);
/// Copies the values of `from` to `to`, which keeps its memory if it has any. The shapes must be equal.
void refill(Tensor& to, const Tensor& from);

// For nodes. While nothing is recorded these do nothing. Device's thread only.

/// Work of the host besides submitting, which is repeated after each play.
void after_play(std::function<void()> host);
/// Announces a tensor that the work is about to change in place; call it before the change.
void changes(const std::vector<Tensor>& tensors);
/// Tensors that the work has made and that stay. Undoing the work makes them zero.
void starts_at_zero(const std::vector<Tensor>& tensors);
/// A result of the work besides its outputs; recorded and submitted work must give the same.
void result(const std::vector<Tensor>& tensors);
/// Called when recording has failed: undoes the host's work.
void on_failure(std::function<void()> host);
/// The number of the recording that this thread is making, from 1; 0: none.
int64_t number();

// For devices.

/// Seconds of a pass: of the host to submit it, and of the device to do it. 0 and 0: not known.
struct PassTime {
  double host = 0, device = 0;
};

/// Between begin() and end() the device's current CUDA stream is recorded. One per kind of device, alive until the program
/// ends.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void begin() = 0;
  /// Ends the recording in any case; throws if it can't be played.
  virtual std::unique_ptr<Recording> end() = 0;
  /// Whether work is done while it is recorded; otherwise it is only recorded.
  virtual bool works_meanwhile() const = 0;
  /// How many recordings are worth their memory. Bootleg's masks have 111 shapes on a grid of 14 x 14.
  virtual size_t capacity() const { return 256; }
  /// Called around a submitted pass, before the same pass is recorded: measures its time, and anything else that the device
  /// needs. The device is idle when it begins.
  virtual void begin_pass() {}
  virtual PassTime end_pass() { return {}; }
};

/// `device` as RunParams names it. The last one registered wins.
void register_recorder(const std::string& device, Recorder& recorder);
/// The recorder of that device; null: it can't record.
Recorder* recorder(const std::string& device);

/// See DeviceRuntime::record(). Work that is done while it is recorded is always compared.
Recorded record(Recorder& recorder, const std::function<void()>& work, bool compare);

}  // namespace flowrun::recording
