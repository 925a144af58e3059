#include "nodes/lib/host/device/jpeg_device.h"

#include <array>
#include <stdexcept>

#include "graph/text/error.h"
#include "io/codec/jpeg_plain.h"
#include "nodes/lib/host/device/cuda_module.h"

namespace flowrun {
namespace {

const JpegDevice*& registered() {
  static const JpegDevice* device = nullptr;
  return device;
}

const JpegDevice& find_device() {
  if (registered() != nullptr) return *registered();
  const CudaModule& cuda = CudaModule::get();
  if (!cuda.missing.empty()) throw std::runtime_error(cuda.missing);
  std::array<char, 1024> why{};
  const JpegDevice* const nvjpeg = cuda.jpeg(why.data(), why.size());
  if (nvjpeg == nullptr) throw std::runtime_error(why.data());
  return *nvjpeg;
}

}  // namespace

void register_jpeg_device(const JpegDevice& device) { registered() = &device; }

/// A decoder for exclusive use, until the end of the scope.
struct JpegDecoders::Lease {
  explicit Lease(const JpegDecoders& decoders) : all(decoders), decoder(take(decoders)) {}
  ~Lease() {
    const std::lock_guard lock(all.mutex_);
    all.idle_.push_back(decoder);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  static void* take(const JpegDecoders& all) {
    {
      const std::lock_guard lock(all.mutex_);
      if (!all.idle_.empty()) {
        void* const decoder = all.idle_.back();
        all.idle_.pop_back();
        return decoder;
      }
    }
    try {
      return all.make();
    } catch (const std::runtime_error& error) {
      throw FatalNodeError(error.what());
    }
  }

  /// Whether the device decoded the file.
  bool took(JpegStatus status) const {
    if (status == JpegStatus::failed) throw FatalNodeError(std::string("the GPU can't decode: ") + all.device_->why(decoder));
    return status == JpegStatus::done;
  }

  const JpegDecoders& all;
  void* const decoder;
};

// The first decoder is made at once, so that a device that doesn't work is found before anything runs.
JpegDecoders::JpegDecoders(int64_t huffman_pixels) : device_(&find_device()), huffman_pixels_(huffman_pixels) { idle_.push_back(make()); }

JpegDecoders::~JpegDecoders() {
  for (void* const decoder : idle_) device_->destroy(decoder);
}

void* JpegDecoders::make() const {
  std::array<char, 1024> why{};
  void* const decoder = device_->make(gpu_of_rank(), huffman_pixels_, why.data(), why.size());
  if (decoder == nullptr) throw std::runtime_error(why.data());
  return decoder;
}

bool JpegDecoders::decode(std::span<const uint8_t> bytes, const io::ImageInfo& info, const io::Rect& region, io::PixelBuffer& out) const {
  const std::span<const uint8_t> jpeg = io::plain_jpeg(bytes);
  if (jpeg.empty()) return false;
  const Lease lease(*this);
  int width = 0, height = 0;
  if (!lease.took(device_->info(lease.decoder, jpeg.data(), jpeg.size(), &width, &height))) return false;
  if (width != info.width || height != info.height) return false;
  out.reshape(region.height, region.width, 3);
  return lease.took(device_->decode(lease.decoder, &region, out.pixels.data()));
}

}  // namespace flowrun
