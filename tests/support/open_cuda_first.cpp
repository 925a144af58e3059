// Opens the CUDA module before the first test. LibTorch asks for CUDA at a process's first backward pass, and keeps the answer:
// behind a test on the CPU there would be none.
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
