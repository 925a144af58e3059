// RandAugment's operations against timm with Pillow, and the draws of the node.
#include <ATen/ops/from_blob.h>
#include <functional>
#include <gmock/gmock.h>
#include <map>
#include <sstream>

#include "nodes/lib/host/image/rand_augment_ops.h"
#include "nodes/lib/host/types/host_types.h"
#include "support/run_node.h"
#include "support/torch_reference.h"

namespace flowrun::image {
namespace {

constexpr Colour kFill = {124, 116, 104};

io::PixelBuffer buffer(int height, int width, const std::function<int(int, int, int, Rng&)>& value) {
  io::PixelBuffer out;
  out.reshape(height, width, 3);
  Rng rng(1, 1, 0, 0);
  size_t i = 0;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) out.pixels[i++] = static_cast<uint8_t>(value(y, x, c, rng));
    }
  }
  return out;
}

/// Noise, a dull gradient, a constant, and a tiny picture of few values.
std::map<std::string, io::PixelBuffer> pictures() {
  std::map<std::string, io::PixelBuffer> out;
  out["noise"] = buffer(37, 50, [](int, int, int, Rng& rng) { return static_cast<int>(rng.below(256)); });
  out["gradient"] = buffer(48, 41, [](int y, int x, int c, Rng& rng) { return 40 + 2 * y + x * c + static_cast<int>(rng.below(3)); });
  out["constant"] = buffer(20, 20, [](int, int, int c, Rng&) { return 17 + 90 * c; });
  out["few"] = buffer(19, 17, [](int y, int x, int c, Rng&) { return (y * x + c) % 5 == 0 ? 200 : 3 * c; });
  return out;
}

Tensor tensor(const io::PixelBuffer& pixels) {
  return at::from_blob(const_cast<uint8_t*>(pixels.pixels.data()), {pixels.height, pixels.width, 3}, at::kByte).to(at::kFloat);
}

TEST(RandAugment, OperationsEqualPillow) {
  test::TensorMap saved;
  const auto originals = pictures();
  for (const auto& [name, pixels] : originals) saved[name] = tensor(pixels);
  const auto folder = test::fresh_folder("flowrun-augment");
  const auto path = folder / "case.safetensors";
  test::save_tensors(path, saved, {});
  const auto ran = test::run_python("rand_augment_check.py", path.string());
  if (test::python_missing(ran)) GTEST_SKIP() << ran.output;
  ASSERT_EQ(ran.status, 0) << ran.output;
  const auto expected = test::load_tensors(path.string() + ".out");
  std::filesystem::remove_all(folder);
  ASSERT_EQ(expected.size(), originals.size() * kOperations * 6 * 2);
  std::map<std::string_view, Operation> operations;
  for (int i = 0; i < kOperations; ++i) operations[operation_name(static_cast<Operation>(i))] = static_cast<Operation>(i);
  for (const auto& [key, image] : expected) {
    std::istringstream words(key);
    std::string name, operation, level, sign;
    std::getline(words, name, '|'), std::getline(words, operation, '|'), std::getline(words, level, '|'), std::getline(words, sign, '|');
    ASSERT_TRUE(operations.contains(operation)) << key;
    const Operation op = operations.at(operation);
    io::PixelBuffer out;
    apply(op, argument(op, std::stod(level), sign == "-1"), kFill, originals.at(name), out);
    EXPECT_EQ(test::max_error(tensor(out), image), 0) << key;
  }
}

/// How often each count of changed pictures of 400 comes.
TEST(RandAugment, DrawsTwoOperationsEachWithItsChance) {
  const auto changed = [](const std::string& params, uint64_t seed = 0) {
    const auto node = test::make_node("image.rand_augment", params);
    int count = 0;
    for (uint64_t sample = 0; sample < 400; ++sample) {
      Image in, out, again;
      in.pixels = pictures().at("few");
      const uint64_t ledger = test::run_sample(*node, {&in, &out}, sample, seed);
      EXPECT_EQ(test::run_sample(*node, {&in, &again}, sample, seed), ledger);
      EXPECT_EQ(out.pixels.pixels, again.pixels.pixels);
      const bool differs = out.pixels.pixels != in.pixels.pixels;
      EXPECT_TRUE(!differs || ledger != 0) << "what was applied is in the ledger";
      count += differs;
    }
    return count;
  };
  EXPECT_NEAR(changed("{}"), 300, 45);  // 1 - 0.5^2, less what does nothing to this picture
  EXPECT_EQ(changed(R"({"p": 0})"), 0);
  EXPECT_EQ(changed(R"({"operations": 0})"), 0);
  EXPECT_GT(changed(R"({"p": 1})"), 360);
}

}  // namespace
}  // namespace flowrun::image
