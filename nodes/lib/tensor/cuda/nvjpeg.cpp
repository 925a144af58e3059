// nvJPEG as a JpegDevice. Its library is opened at run time, because few machines have it.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <map>
#include <memory>
#include <mutex>
#include <nvjpeg.h>
#include <stdexcept>
#include <string>

#include "nodes/lib/host/device/jpeg_device.h"

namespace {

using flowrun::JpegDevice;
using flowrun::JpegStatus;
using flowrun::io::Rect;

constexpr const char* library_name = "libnvjpeg.so.13";

// clang-format off
#define FLOWRUN_NVJPEG_FUNCTIONS(each) \
  each(CreateEx) each(DecoderCreate) each(DecoderDestroy) each(DecoderStateCreate) each(JpegStateDestroy) \
  each(DecoderJpegSupported) each(BufferPinnedCreate) each(BufferPinnedDestroy) each(BufferDeviceCreate) \
  each(BufferDeviceDestroy) each(StateAttachPinnedBuffer) each(StateAttachDeviceBuffer) each(JpegStreamCreate) \
  each(JpegStreamDestroy) each(JpegStreamParse) each(JpegStreamGetFrameDimensions) each(JpegStreamGetComponentsNum) \
  each(JpegStreamGetChromaSubsampling) each(DecodeParamsCreate) each(DecodeParamsDestroy) \
  each(DecodeParamsSetOutputFormat) each(DecodeParamsSetROI) each(DecodeJpegHost) each(DecodeJpegTransferToDevice) \
  each(DecodeJpegDevice)
// clang-format on

struct Library {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a name that is declared can't stand in any
#define FLOWRUN_DECLARE(name) decltype(&nvjpeg##name) name = nullptr;
  FLOWRUN_NVJPEG_FUNCTIONS(FLOWRUN_DECLARE)
#undef FLOWRUN_DECLARE
  std::string missing;
};

Library open_library() {
  Library library;
  void* const opened = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) {
    library.missing = std::string(dlerror()) + " (the wheel nvidia-nvjpeg has it: tools/setup, or pip install nvidia-nvjpeg)";
    return library;
  }
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(opened, name));
    if (function == nullptr && library.missing.empty()) library.missing = std::string(library_name) + " has no " + name + ": it is too old";
  };
#define FLOWRUN_FIND(name) find(library.name, "nvjpeg" #name);
  FLOWRUN_NVJPEG_FUNCTIONS(FLOWRUN_FIND)
#undef FLOWRUN_FIND
  return library;
}

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // otherwise the next call would report it again
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

void check(nvjpegStatus_t status, const char* what) {
  if (status != NVJPEG_STATUS_SUCCESS) throw std::runtime_error(std::string(what) + ": nvJPEG status " + std::to_string(status));
}

/// nvJPEG's own state on that GPU, shared by all decoders there and never destroyed. Throws.
nvjpegHandle_t handle(int gpu) {
  static std::mutex mutex;
  static auto* const handles = new std::map<int, nvjpegHandle_t>;
  const std::lock_guard lock(mutex);
  nvjpegHandle_t& made = (*handles)[gpu];
  // libjpeg judges files that are not quite JPEGs. It interpolates chroma, too.
  constexpr unsigned flags = NVJPEG_FLAGS_BITSTREAM_STRICT | NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION;
  if (made == nullptr) check(library().CreateEx(NVJPEG_BACKEND_DEFAULT, nullptr, nullptr, flags, &made), "nvjpegCreateEx");
  return made;
}

/// Memory that only grows.
template <auto allocate, auto release>
struct Buffer {
  uint8_t* data = nullptr;
  size_t size = 0;

  uint8_t* room(size_t bytes) {
    if (bytes <= size) return data;
    release(data);
    data = nullptr, size = 0;
    const size_t wanted = bytes + bytes / 2;
    void* memory = nullptr;
    check(allocate(&memory, wanted), "memory for pixels");
    data = static_cast<uint8_t*>(memory), size = wanted;
    return data;
  }
  ~Buffer() { release(data); }
};

cudaError_t allocate_device(void** memory, size_t bytes) { return cudaMalloc(memory, bytes); }
cudaError_t allocate_host(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, cudaHostAllocDefault); }

/// nvJPEG decodes in three stages: Huffman codes on the host (or prepared there for the GPU), transfer to the device,
/// and pixels there.
class Decoder {
 public:
  Decoder(int gpu, int64_t huffman_pixels) : gpu_(gpu), huffman_pixels_(huffman_pixels) {}

  void open() {
    check(cudaSetDevice(gpu_), "cudaSetDevice");
    handle_ = handle(gpu_);
    // With lower priority than all training.
    int least = 0, greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    check(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, least), "cudaStreamCreateWithPriority");
    // A waiting thread leaves its core to others.
    check(cudaEventCreateWithFlags(&done_, cudaEventBlockingSync | cudaEventDisableTiming), "cudaEventCreateWithFlags");
    check(library().JpegStreamCreate(handle_, &jpeg_), "nvjpegJpegStreamCreate");
    check(library().DecodeParamsCreate(handle_, &params_), "nvjpegDecodeParamsCreate");
    check(library().DecodeParamsSetOutputFormat(params_, NVJPEG_OUTPUT_RGBI), "nvjpegDecodeParamsSetOutputFormat");
    check(library().BufferPinnedCreate(handle_, nullptr, &pinned_), "nvjpegBufferPinnedCreate");
    check(library().BufferDeviceCreate(handle_, nullptr, &device_), "nvjpegBufferDeviceCreate");
    for (Codes& codes : codes_) {
      check(library().DecoderCreate(handle_, codes.read_by, &codes.decoder), "nvjpegDecoderCreate");
      check(library().DecoderStateCreate(handle_, codes.decoder, &codes.state), "nvjpegDecoderStateCreate");
    }
  }

  ~Decoder() {
    cudaSetDevice(gpu_);
    if (stream_ != nullptr) cudaStreamSynchronize(stream_);
    for (const Codes& codes : codes_) {
      if (codes.state != nullptr) library().JpegStateDestroy(codes.state);
      if (codes.decoder != nullptr) library().DecoderDestroy(codes.decoder);
    }
    if (device_ != nullptr) library().BufferDeviceDestroy(device_);
    if (pinned_ != nullptr) library().BufferPinnedDestroy(pinned_);
    if (params_ != nullptr) library().DecodeParamsDestroy(params_);
    if (jpeg_ != nullptr) library().JpegStreamDestroy(jpeg_);
    if (done_ != nullptr) cudaEventDestroy(done_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  bool info(const uint8_t* bytes, size_t size, int* width, int* height) {
    check(cudaSetDevice(gpu_), "cudaSetDevice");
    unsigned components = 0, across = 0, down = 0;
    nvjpegChromaSubsampling_t sampling = NVJPEG_CSS_UNKNOWN;
    if (!takes(library().JpegStreamParse(handle_, bytes, size, 0, 0, jpeg_)) || !takes(library().JpegStreamGetComponentsNum(jpeg_, &components)) ||
        !takes(library().JpegStreamGetChromaSubsampling(jpeg_, &sampling)) || !takes(library().JpegStreamGetFrameDimensions(jpeg_, &across, &down))) {
      return false;
    }
    *width = width_ = static_cast<int>(across), *height = height_ = static_cast<int>(down);
    return (components == 1 || components == 3) && sampling != NVJPEG_CSS_UNKNOWN;
  }

  bool decode(const Rect& region, uint8_t* out) {
    check(cudaSetDevice(gpu_), "cudaSetDevice");
    const Rect around = surroundings(region);
    const bool whole = around == Rect{0, 0, width_, height_};
    check(whole ? library().DecodeParamsSetROI(params_, 0, 0, -1, -1)
                : library().DecodeParamsSetROI(params_, around.x, around.y, around.width, around.height),
          "nvjpegDecodeParamsSetROI");
    const Codes* const codes = choose();
    if (codes == nullptr) return false;
    check(library().StateAttachPinnedBuffer(codes->state, pinned_), "nvjpegStateAttachPinnedBuffer");
    check(library().StateAttachDeviceBuffer(codes->state, device_), "nvjpegStateAttachDeviceBuffer");
    if (!takes(library().DecodeJpegHost(handle_, codes->decoder, codes->state, params_, jpeg_))) return false;
    nvjpegImage_t image{};
    const size_t pitch = static_cast<size_t>(around.width) * 3, row = static_cast<size_t>(region.width) * 3;
    const auto rows = static_cast<size_t>(region.height);
    image.channel[0] = decoded_.room(pitch * static_cast<size_t>(around.height));
    image.pitch[0] = pitch;
    uint8_t* const host = wanted_.room(row * rows);
    try {
      check(library().DecodeJpegTransferToDevice(handle_, codes->decoder, codes->state, jpeg_, stream_), "nvjpegDecodeJpegTransferToDevice");
      check(library().DecodeJpegDevice(handle_, codes->decoder, codes->state, &image, stream_), "nvjpegDecodeJpegDevice");
      const uint8_t* const from = image.channel[0] + static_cast<size_t>(region.y - around.y) * pitch + static_cast<size_t>(region.x - around.x) * 3;
      check(cudaMemcpy2DAsync(host, row, from, pitch, row, rows, cudaMemcpyDeviceToHost, stream_), "cudaMemcpy2DAsync");
      check(cudaEventRecord(done_, stream_), "cudaEventRecord");
      check(cudaEventSynchronize(done_), "cudaEventSynchronize");
    } catch (...) {
      cudaStreamSynchronize(stream_);  // the buffers are the next picture's
      throw;
    }
    std::memcpy(out, host, row * rows);
    return true;
  }

  std::string why;

 private:
  /// One way of reading Huffman codes.
  struct Codes {
    nvjpegBackend_t read_by;
    nvjpegJpegDecoder_t decoder = nullptr;
    nvjpegJpegState_t state = nullptr;
  };

  /// If the host's part of the work rejects a file, libjpeg decides.
  static bool takes(nvjpegStatus_t status) {
    if (status == NVJPEG_STATUS_ALLOCATOR_FAILURE) throw std::runtime_error("no memory for nvJPEG");
    return status == NVJPEG_STATUS_SUCCESS;
  }

  /// The region with a margin, which begins at a multiple of any MCU's half: so its pixels are those of the whole picture,
  /// though chroma is interpolated from neighbours.
  Rect surroundings(const Rect& region) const {
    constexpr int margin = 16;
    const int left = std::max(region.x - margin, 0) / margin * margin, top = std::max(region.y - margin, 0) / margin * margin;
    const int right = std::min(region.x + region.width + margin, width_), bottom = std::min(region.y + region.height + margin, height_);
    return {left, top, right - left, bottom - top};
  }

  const Codes* choose() const {
    const bool by_gpu = static_cast<int64_t>(width_) * height_ > huffman_pixels_;
    for (const Codes* const codes : {&codes_[by_gpu ? 1 : 0], &codes_[by_gpu ? 0 : 1]}) {
      int is_supported = -1;  // 0: it is
      if (takes(library().DecoderJpegSupported(codes->decoder, jpeg_, params_, &is_supported)) && is_supported == 0) return codes;
    }
    return nullptr;
  }

  int gpu_;
  int64_t huffman_pixels_;
  nvjpegHandle_t handle_ = nullptr;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t done_ = nullptr;
  nvjpegJpegStream_t jpeg_ = nullptr;
  nvjpegDecodeParams_t params_ = nullptr;
  nvjpegBufferPinned_t pinned_ = nullptr;
  nvjpegBufferDevice_t device_ = nullptr;
  Codes codes_[2] = {{NVJPEG_BACKEND_HYBRID}, {NVJPEG_BACKEND_GPU_HYBRID}};
  int width_ = 0, height_ = 0;
  Buffer<allocate_device, cudaFree> decoded_;
  Buffer<allocate_host, cudaFreeHost> wanted_;
};

void* make(int gpu, int64_t huffman_pixels, char* why, size_t room) {
  try {
    int count = 0;
    check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
    auto decoder = std::make_unique<Decoder>(gpu % count, huffman_pixels);  // ranks that compute on the CPU may share one
    decoder->open();
    return decoder.release();
  } catch (const std::exception& error) {
    std::snprintf(why, room, "%s", error.what());
    return nullptr;
  }
}

template <class Work>
JpegStatus attempt(void* decoder, const Work& work) {
  auto& self = *static_cast<Decoder*>(decoder);
  try {
    return work(self) ? JpegStatus::done : JpegStatus::declined;
  } catch (const std::exception& error) {
    self.why = error.what();
    return JpegStatus::failed;
  }
}

constexpr JpegDevice nvjpeg = {
    .make = make,
    .destroy = [](void* decoder) { delete static_cast<Decoder*>(decoder); },
    .info = [](void* decoder, const uint8_t* bytes, size_t size, int* width,
               int* height) { return attempt(decoder, [&](Decoder& self) { return self.info(bytes, size, width, height); }); },
    .decode = [](void* decoder, const Rect* region,
                 uint8_t* out) { return attempt(decoder, [&](Decoder& self) { return self.decode(*region, out); }); },
    .why = [](const void* decoder) { return static_cast<const Decoder*>(decoder)->why.c_str(); },
};

}  // namespace

extern "C" {

/// See CudaModule::jpeg.
const JpegDevice* flowrun_cuda_jpeg(char* why, size_t room) {
  if (library().missing.empty()) return &nvjpeg;
  std::snprintf(why, room, "%s", library().missing.c_str());
  return nullptr;
}
}
