// Opens the CUDA module before the first test. LibTorch looks for CUDA at a process's first backward pass, and keeps the
// answer: after a test on the CPU it would find none.
#include <gtest/gtest.h>

#include "nodes/lib/host/device/cuda_module.h"

namespace flowrun {
namespace {

class OpenCudaFirst final : public testing::Environment {
 public:
  void SetUp() override { CudaModule::get(); }
};

const testing::Environment* const added = testing::AddGlobalTestEnvironment(new OpenCudaFirst);

}  // namespace
}  // namespace flowrun
