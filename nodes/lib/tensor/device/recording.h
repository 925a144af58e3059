// Work of the device's thread that is recorded once and played again: what nodes have to know of it, and how a device
// offers it.
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
/// `to` gets the values of `from`, and keeps its place if it has one. The same shapes.
void refill(Tensor& to, const Tensor& from);

// For nodes. While nothing is recorded these do nothing. Device's thread only.

/// What the host does besides submitting work, again after each play.
void after_play(std::function<void()> host);
/// What the work is about to change in place; before it does.
void changes(const std::vector<Tensor>& tensors);
/// Tensors that the work has made and that stay. Undoing the work makes them zero.
void starts_at_zero(const std::vector<Tensor>& tensors);
/// What the work has left behind, besides what it hands to other nodes; recorded or not, it must be the same.
void result(const std::vector<Tensor>& tensors);
/// Recording has failed: takes back what the host did meanwhile.
void on_failure(std::function<void()> host);
/// Of the recording that this thread is writing, from 1; 0: it is writing none.
int64_t number();

// For devices.

/// Seconds of a pass: of the host to submit it, and of the device to do it. 0 and 0: not known.
struct PassTime {
  double host = 0, device = 0;
};

/// Between begin() and end() the device's current stream is recorded. One per kind of device, alive until the program ends.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void begin() = 0;
  /// Ends it whatever happened; throws if it can't be played.
  virtual std::unique_ptr<Recording> end() = 0;
  /// Whether work is done while it is recorded; else it is only written down.
  virtual bool works_meanwhile() const = 0;
  /// How many recordings are worth their memory. Bootleg's masks have 111 shapes on a grid of 14 x 14.
  virtual size_t capacity() const { return 256; }
  /// Around a pass that is submitted, before the same is recorded: how long it takes, and what else the device wants to know.
  /// The device has nothing to do when it begins.
  virtual void begin_pass() {}
  virtual PassTime end_pass() { return {}; }
};

/// `device` as RunParams names it. The last one registered wins.
void register_recorder(const std::string& device, Recorder& recorder);
/// Null: that device can't record.
Recorder* recorder(const std::string& device);

/// See DeviceRuntime::record(). Work that is done while it is recorded is always compared.
Recorded record(Recorder& recorder, const std::function<void()>& work, bool compare);

}  // namespace flowrun::recording
