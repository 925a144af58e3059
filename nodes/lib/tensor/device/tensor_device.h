// The kinds of device that tensors live on have this in common: thread counts, precision, recordings.
#pragma once

#include <atomic>

#include "graph/contract/device.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {

/// A device of LibTorch, whose type has the same name there ("cpu", "cuda"). A derived class is one kind; it says what that
/// kind needs in addition.
class TensorDevice : public DeviceRuntime {
 public:
  explicit TensorDevice(DeviceInfo info);

  void share_machine(int local_rank, int local_world) override;
  void enter(const RunParams& run) override;
  void enter_data_thread() override;
  void without_gradients(const std::function<void()>& work) override;
  std::string cannot_record() const override;
  size_t recordings() const override;
  Recorded record(const std::function<void()>& work, bool compare) override;
  int64_t synchronisations() const override;

 protected:
  at::DeviceType type() const { return type_; }
  int local_rank() const { return local_rank_; }
  int local_world() const { return local_world_; }
  /// How often work has made the host wait for the device so far, those of recordings included.
  virtual int64_t waits() const { return 0; }

 private:
  at::DeviceType type_;
  int local_rank_ = 0, local_world_ = 1;
  std::atomic<int64_t> waits_of_recordings_{0};
};

}  // namespace flowrun
