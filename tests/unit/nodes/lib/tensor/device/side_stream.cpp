// The CUDA streams of submitted work, and what waits for what: on a device that only logs its calls.
#include "nodes/lib/tensor/device/side_stream.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/fake_device.h"

namespace flowrun {
namespace {

using test::diary;

/// A tensor of that device; its length is its name.
Tensor tensor(int64_t length) { return test::on_fake(at::zeros({length})); }

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
  SideStream::join(test::fake_device());
  EXPECT_EQ(diary().lines, (Lines{"main waits for 2", "2 used on main", "main waits for 2"}));
}

TEST(SideStream, JoinsWhatEndedInAnError) {
  diary() = {};
  try {
    const SideStream beside(test::fake_device(), {});
    throw std::runtime_error("the teacher failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(diary().stream, 0);
  diary().lines.clear();
  SideStream::join(test::fake_device());
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
