#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <thread>

#include "graph/contract/device.h"
#include "graph/contract/run_params.h"
#include "nodes/lib/tensor/kernels/kernels.h"

namespace flowrun {
namespace {

/// Data threads have one thread each in operations, which LibTorch takes for the number of every thread that has not asked yet.
TEST(Threads, KernelsLeaveTheNumberOfTheDevicesThread) {
  DeviceRuntime& device = device_runtime("cpu");
  RunParams run;
  run.device = "cpu", run.precision = "fp32", run.intra_op = 2;
  const int before = at::get_num_threads();
  int first = 0, then = 0;
  std::thread([&] {
    device.enter(run);
    std::thread([&] { device.enter_data_thread(); }).join();
    first = at::get_num_threads();
    kernels::patch_rows(at::zeros({2, 3, 64, 64}), 16, {});
    then = at::get_num_threads();
    device.leave();
  }).join();
  at::set_num_threads(before);
  EXPECT_EQ(first, 2);
  EXPECT_EQ(then, 2);
}

}  // namespace
}  // namespace flowrun
