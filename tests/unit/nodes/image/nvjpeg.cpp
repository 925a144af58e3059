// nvJPEG beside libjpeg-turbo, on a machine with a GPU; without one, that its library has all functions.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <thread>

#include "io/codec/jpeg.h"
#include "io/error.h"
#include "nodes/lib/host/device/cuda_module.h"
#include "nodes/lib/host/device/jpeg_device.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"

namespace flowrun {
namespace {

using Bytes = std::vector<uint8_t>;
using io::PixelBuffer;
using io::Rect;
using io::test::make_image;
using io::test::OddJpeg;

constexpr int64_t never = INT64_MAX, always = 0;

Bytes encoded(const OddJpeg& kind, int height = 301, int width = 403, uint32_t seed = 1) {
  return io::test::encode_odd_jpeg(make_image(height, width, 3, seed), kind);
}

Bytes gray(int height = 200, int width = 150) {
  Bytes bytes;
  io::encode_jpeg(make_image(height, width, 1, 2).view(), 90, bytes);
  return bytes;
}

const std::vector<std::pair<const char*, Bytes>>& files() {
  static const std::vector<std::pair<const char*, Bytes>> all = {{"4:4:4", encoded({1, 1})},
                                                                 {"4:2:2", encoded({2, 1})},
                                                                 {"4:2:0", encoded({2, 2})},
                                                                 {"4:2:0 in intervals", encoded({2, 2, false, 1})},
                                                                 {"progressive", encoded({2, 2, true})},
                                                                 {"gray", gray()},
                                                                 {"4:4:0", encoded({1, 2})},
                                                                 {"4:1:1", encoded({4, 1})},
                                                                 {"4:1:0", encoded({4, 2})}};
  return all;
}

/// False: the device declines.
bool decode(const JpegDecoders& decoders, const Bytes& bytes, PixelBuffer& out, const Rect* region = nullptr) {
  const io::ImageInfo info = io::read_image_info(bytes);
  return decoders.decode(bytes, info, region != nullptr ? *region : Rect{0, 0, info.width, info.height}, out);
}

struct Difference {
  double mean = 0, far = 0;  // levels; the share of values that differ by more than 4
  int most = 0;
};

Difference difference(const PixelBuffer& a, const PixelBuffer& b) {
  Difference out;
  const size_t count = a.pixels.size();
  for (size_t i = 0; i < count; ++i) {
    const int levels = std::abs(a.pixels[i] - b.pixels[i]);
    out.mean += levels, out.far += levels > 4 ? 1 : 0, out.most = std::max(out.most, levels);
  }
  out.mean /= static_cast<double>(count), out.far /= static_cast<double>(count);
  return out;
}

class Nvjpeg : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string& missing = CudaModule::get().missing; !missing.empty()) GTEST_SKIP() << missing;
  }
};

TEST_F(Nvjpeg, PixelsAreThoseOfLibjpegWithinLevels) {
  const JpegDecoders decoders(never);
  io::JpegDecoder libjpeg;
  const auto compare = [&](const std::string& name, const Bytes& bytes, bool is_common) {
    PixelBuffer ours, theirs;
    libjpeg.decode(bytes, ours);
    if (!decode(decoders, bytes, theirs)) {
      EXPECT_FALSE(is_common) << name << " is declined";
      return;
    }
    ASSERT_TRUE(theirs.width == ours.width && theirs.height == ours.height) << name;
    const Difference found = difference(ours, theirs);
    std::printf("%-20s mean %.3f, beyond 4 levels %.4f, most %d\n", name.c_str(), found.mean, found.far, found.most);
    EXPECT_TRUE(!is_common || (found.mean < 1 && found.far < 0.01)) << name;
  };
  // For coarse samplings libjpeg repeats chroma, nvJPEG interpolates it.
  for (const auto& [name, bytes] : files())
    compare(name, bytes, std::string(name) != "4:1:1" && std::string(name) != "4:1:0" && std::string(name) != "4:4:0");
  const auto photographs = io::test::photographs();
  for (size_t i = 0; i < std::min<size_t>(photographs.size(), 20); ++i) compare(photographs[i].filename(), io::test::load(photographs[i]), false);
}

TEST_F(Nvjpeg, RegionsAndWaysToReadCodesGiveTheSamePixels) {
  const JpegDecoders by_host(never), by_gpu(always);
  std::mt19937 random(1);
  for (const auto& [name, bytes] : files()) {
    PixelBuffer whole, other, part;
    if (!decode(by_host, bytes, whole)) continue;
    ASSERT_TRUE(decode(by_gpu, bytes, other));
    EXPECT_TRUE(other.pixels == whole.pixels) << name << ": the GPU reads the codes";
    for (int i = 0; i < 40; ++i) {
      const Rect region = io::test::random_region(random, whole.width, whole.height);
      for (const JpegDecoders* const decoders : {&by_host, &by_gpu}) {
        ASSERT_TRUE(decode(*decoders, bytes, part, &region)) << name;
        ASSERT_TRUE(part.pixels == io::test::crop(whole, region).pixels)
            << name << ": " << region.width << "x" << region.height << " at " << region.x << "," << region.y;
      }
    }
  }
}

TEST_F(Nvjpeg, ThreadsDontDisturbEachOther) {
  const JpegDecoders decoders(1);
  std::vector<PixelBuffer> alone;
  for (const auto& [name, bytes] : files()) decode(decoders, bytes, alone.emplace_back());
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      PixelBuffer out;
      for (size_t i = 0; i < 200; ++i) {
        const size_t file = (i + static_cast<size_t>(t)) % files().size();
        if (decode(decoders, files()[file].second, out) && out.pixels != alone[file].pixels) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// The share of damage that passes is only logged; the GPU must work afterwards.
TEST_F(Nvjpeg, DamageIsSurvived) {
  io::JpegDecoder libjpeg;
  std::mt19937 random(3);
  for (const int64_t huffman_pixels : {never, always}) {
    const JpegDecoders decoders(huffman_pixels);
    int damaged = 0, passed = 0;
    for (int i = 0; i < 400; ++i) {
      Bytes bytes = files()[static_cast<size_t>(i) % files().size()].second;
      for (uint32_t changes = 1 + random() % 3; changes > 0; --changes)
        bytes[bytes.size() / 4 + random() % (bytes.size() * 3 / 4)] = static_cast<uint8_t>(random());
      PixelBuffer out;
      const bool is_taken = decode(decoders, bytes, out);
      try {
        libjpeg.decode(bytes, out);
      } catch (const io::Error&) {
        ++damaged;
        passed += is_taken ? 1 : 0;
      }
    }
    std::printf("Huffman codes by the %s: of %d files in which libjpeg finds damage %d pass\n", huffman_pixels == never ? "host" : "GPU", damaged,
                passed);
    PixelBuffer again;
    EXPECT_TRUE(decode(decoders, files()[0].second, again));
  }
}

// Needs no GPU: the module finds the library that it was built for, with all functions.
TEST(NvjpegLibrary, IsFoundByTheModule) {
  const auto module = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libflowrun_cuda.so";
  if (!std::filesystem::exists(module)) GTEST_SKIP() << "built without CUDA";
  void* const library = dlopen(module.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto find = reinterpret_cast<decltype(CudaModule::jpeg)>(dlsym(library, "flowrun_cuda_jpeg"));
  ASSERT_NE(find, nullptr);
  char why[1024] = "";
  const JpegDevice* const device = find(why, sizeof why);
  ASSERT_NE(device, nullptr) << why;
  if (CudaModule::get().missing.empty()) return;
  EXPECT_EQ(device->make(0, 0, why, sizeof why), nullptr);
  EXPECT_GT(std::string(why).size(), 10u) << "nothing is said";
}

}  // namespace
}  // namespace flowrun
