// What is submitted where, and who waits for whom: on a device that only writes down what it is asked to do.
#include "nodes/device/side_stream.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <gtest/gtest.h>
#include <torch/library.h>

namespace flowrun {
namespace {

constexpr auto fake = c10::DeviceType::PrivateUse1;

struct Diary {
  std::vector<std::string> lines;
  c10::StreamId stream = 0;  // the current one
  int64_t events = 0;
};
Diary& diary() {
  static Diary diary;
  return diary;
}

std::string name(c10::StreamId stream) { return stream == 0 ? "main" : "side"; }

struct FakeGuard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return fake; }
  c10::Device exchangeDevice(c10::Device device) const override { return device; }
  c10::Device getDevice() const override { return {fake, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device device) const override { return c10::Stream(c10::Stream::UNSAFE, device, diary().stream); }
  c10::Stream getStreamFromGlobalPool(c10::Device device, bool) const override { return c10::Stream(c10::Stream::UNSAFE, device, 7); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    const c10::Stream before = getStream(stream.device());
    diary().stream = stream.id();
    return before;
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void** event, const c10::Stream& stream, c10::DeviceIndex, c10::EventFlag) const override {
    *event = reinterpret_cast<void*>(++diary().events);
    diary().lines.push_back(name(stream.id()) + " records " + std::to_string(diary().events));
  }
  void block(void* event, const c10::Stream& stream) const override {
    diary().lines.push_back(name(stream.id()) + " waits for " + std::to_string(reinterpret_cast<int64_t>(event)));
  }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, FakeGuard);

void record_stream(at::Tensor& tensor, c10::Stream stream) {
  diary().lines.push_back(std::to_string(tensor.size(0)) + " used on " + name(stream.id()));
}
TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) { library.impl("record_stream", record_stream); }

/// A tensor of that device; its length is its name.
Tensor tensor(int64_t length) {
  static float memory[8];
  return at::for_blob(memory, {length}).options(at::TensorOptions(at::kFloat).device(fake, 0)).target_device(c10::Device(fake, 0)).make_tensor();
}

using Lines = std::vector<std::string>;

TEST(SideStream, OrdersByEvents) {
  diary() = {};
  const Tensor images = tensor(1), target = tensor(2);
  Arrival arrival;
  {
    SideStream beside(images.device(), {images});
    EXPECT_EQ(diary().stream, 7);
    arrival = beside.arrival();
  }
  EXPECT_EQ(diary().stream, 0) << "the main stream is current again";
  EXPECT_EQ(diary().lines, (Lines{"main records 1", "side waits for 1", "1 used on side", "side records 2"}));
  diary().lines.clear();
  arrival.wait(target);
  SideStream::join(c10::Device(fake));
  EXPECT_EQ(diary().lines, (Lines{"main waits for 2", "2 used on main", "main waits for 2"}));
}

TEST(SideStream, JoinsWhatEndedInAnError) {
  diary() = {};
  try {
    const SideStream beside(c10::Device(fake), {});
    throw std::runtime_error("the teacher failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(diary().stream, 0);
  diary().lines.clear();
  SideStream::join(c10::Device(fake));
  EXPECT_EQ(diary().lines, (Lines{"main waits for 2"}));
}

TEST(SideStream, IsNothingOnTheCpu) {
  diary() = {};
  const Tensor images = at::ones({2});
  SideStream beside(images.device(), {images});
  beside.arrival().wait(images);
  SideStream::join(at::kCPU);
  EXPECT_TRUE(diary().lines.empty());
}

}  // namespace
}  // namespace flowrun
