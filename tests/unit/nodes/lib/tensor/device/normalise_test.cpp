#include "nodes/lib/tensor/device/normalise.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace flowrun {
namespace {

// The upload to a GPU, operation by operation.
TEST(Normalise, EqualsTheTensorOperations) {
  const std::vector<float> scale = {1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f)}, shift = {-2.1179f, -2.0357f, -1.8044f};
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp)
  for (const int64_t pixels : {1, 7, 8, 9, 31, 224 * 224}) {
    std::vector<uint8_t> in(static_cast<size_t>(pixels) * 3);
    for (uint8_t& value : in) value = static_cast<uint8_t>(random());
    std::vector<float> out(in.size());
    normalise(in.data(), pixels, scale.data(), shift.data(), out.data());
    const at::Tensor bytes = at::from_blob(in.data(), {pixels, 3}, at::kByte).t().to(at::kFloat);
    const at::Tensor expected = bytes.mul(at::tensor(scale).view({3, 1})).add(at::tensor(shift).view({3, 1}));
    EXPECT_TRUE(at::from_blob(out.data(), {3, pixels}, at::kFloat).equal(expected)) << pixels;
  }
}

}  // namespace
}  // namespace flowrun
