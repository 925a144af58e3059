// nodes/lib/tensor/cuda/nvjpeg.cpp on a fake CUDA runtime and a fake nvJPEG (tests/support/fake_*.cpp): its calls, their order, and
// what it leaves behind.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "io/codec/jpeg.h"
#include "nodes/lib/host/device/jpeg_device.h"
#include "support/fake_cuda.h"
#include "support/io_images.h"
#include "support/io_jpeg.h"

extern "C" const flowrun::JpegDevice* flowrun_cuda_jpeg(char* why, size_t room);

namespace flowrun {
namespace {

using Bytes = std::vector<uint8_t>;
using io::PixelBuffer;
using io::Rect;
using io::test::make_image;

constexpr int64_t never = INT64_MAX, always = 0;

int nvjpeg_alive() {
  const auto alive = reinterpret_cast<int (*)()>(dlsym(dlopen("libnvjpeg.so.13", RTLD_NOW | RTLD_NOLOAD), "fake_nvjpeg_alive"));
  return alive();
}

/// A decoder; what it has made must be gone afterwards.
class Nvjpeg {
 public:
  explicit Nvjpeg(int64_t huffman_pixels = never, int gpu = 0) : decoder_(device().make(gpu, huffman_pixels, why_, sizeof why_)) {}
  ~Nvjpeg() {
    if (decoder_ != nullptr) device().destroy(decoder_);
  }
  Nvjpeg(const Nvjpeg&) = delete;
  Nvjpeg& operator=(const Nvjpeg&) = delete;

  static const JpegDevice& device() {
    char why[256] = "";
    const JpegDevice* const found = flowrun_cuda_jpeg(why, sizeof why);
    EXPECT_NE(found, nullptr) << why;
    return *found;
  }

  JpegStatus decode(const Bytes& bytes, const Rect* region, PixelBuffer& out) {
    int width = 0, height = 0;
    if (const JpegStatus status = device().info(decoder_, bytes.data(), bytes.size(), &width, &height); status != JpegStatus::done) return status;
    const Rect wanted = region != nullptr ? *region : Rect{0, 0, width, height};
    out.reshape(wanted.height, wanted.width, 3);
    std::fill(out.pixels.begin(), out.pixels.end(), 0x11);
    return device().decode(decoder_, &wanted, out.pixels.data());
  }
  std::string why() const { return decoder_ != nullptr ? device().why(decoder_) : why_; }
  explicit operator bool() const { return decoder_ != nullptr; }

 private:
  char why_[256] = "";
  void* decoder_;
};

class NvjpegModule : public testing::Test {
 protected:
  void SetUp() override {
    Nvjpeg();
    before_ = fake_cuda::alive() + nvjpeg_alive();
  }
  void TearDown() override {
    EXPECT_EQ(fake_cuda::alive() + nvjpeg_alive(), before_) << "something is left";
    fake_cuda::limit(1 << 30);
  }

  Bytes plain_ = io::test::encode_odd_jpeg(make_image(83, 121, 3, 1), {2, 2});
  Bytes progressive_ = io::test::encode_odd_jpeg(make_image(70, 64, 3, 2), {2, 1, true});

 private:
  int before_ = 0;
};

TEST_F(NvjpegModule, RegionsHaveThePixelsOfTheWhole) {
  Bytes gray;
  io::encode_jpeg(make_image(50, 40, 1, 3).view(), 90, gray);
  std::mt19937 random(1);
  for (const int64_t huffman_pixels : {never, always}) {
    Nvjpeg nvjpeg(huffman_pixels, 1);
    ASSERT_TRUE(nvjpeg) << nvjpeg.why();
    for (int i = 0; i < 200; ++i) {
      const Bytes& bytes = i % 3 == 0 ? plain_ : i % 3 == 1 ? progressive_ : gray;
      PixelBuffer whole, out;
      io::JpegDecoder().decode(bytes, whole);
      if (i % 5 == 0) {
        ASSERT_EQ(nvjpeg.decode(bytes, nullptr, out), JpegStatus::done) << nvjpeg.why();
        ASSERT_TRUE(out.pixels == whole.pixels);
      }
      const Rect region = io::test::random_region(random, whole.width, whole.height);
      ASSERT_EQ(nvjpeg.decode(bytes, &region, out), JpegStatus::done) << nvjpeg.why();
      ASSERT_TRUE(out.pixels == io::test::crop(whole, region).pixels)
          << region.width << "x" << region.height << " at " << region.x << "," << region.y;
    }
  }
}

TEST_F(NvjpegModule, DeclinesWhatIsNotForIt) {
  Nvjpeg nvjpeg;
  PixelBuffer out;
  EXPECT_EQ(nvjpeg.decode(io::test::encode_odd_jpeg(make_image(40, 40, 4, 1), {}), nullptr, out), JpegStatus::declined) << "CMYK";
  EXPECT_EQ(nvjpeg.decode({1, 2, 3}, nullptr, out), JpegStatus::declined);
  Bytes broken = plain_;
  std::fill(broken.end() - 600, broken.end() - 2, 0);
  EXPECT_EQ(nvjpeg.decode(broken, nullptr, out), JpegStatus::declined) << "wrong codes";
  EXPECT_EQ(nvjpeg.decode(plain_, nullptr, out), JpegStatus::done) << "and it goes on";
}

TEST_F(NvjpegModule, ThreadsHaveDecodersOfTheirOwnOnAnyGpu) {
  PixelBuffer whole;
  io::JpegDecoder().decode(plain_, whole);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      Nvjpeg nvjpeg(t < 3 ? never : always, t);  // of two GPUs
      PixelBuffer out;
      for (int i = 0; i < 30; ++i) EXPECT_TRUE(nvjpeg.decode(plain_, nullptr, out) == JpegStatus::done && out.pixels == whole.pixels) << nvjpeg.why();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(NvjpegModule, MemoryThatCantBeHadIsAFailure) {
  Nvjpeg nvjpeg;
  PixelBuffer out;
  fake_cuda::limit(0);
  EXPECT_EQ(nvjpeg.decode(plain_, nullptr, out), JpegStatus::failed);
  EXPECT_EQ(nvjpeg.why(), "memory for pixels: no more memory");
  fake_cuda::limit(1);
  EXPECT_EQ(nvjpeg.decode(plain_, nullptr, out), JpegStatus::done);
}

}  // namespace
}  // namespace flowrun
