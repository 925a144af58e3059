// libnvjpeg.so.13 by libjpeg-turbo, as far as nodes/lib/tensor/cuda/nvjpeg.cpp uses it, strict about its documented requirements: the
// device, buffers before steps, steps in order, regions inside the picture. At the edges of a region within the picture, its
// pixels are wrong, as those of versions before 13.3 are. Its GPU reads no Huffman codes of progressive JPEGs.
#include <atomic>
#include <nvjpeg.h>
#include <vector>

#include "io/codec/jpeg.h"
#include "io/error.h"
#include "support/fake_cuda.h"

using flowrun::io::ImageInfo;
using flowrun::io::PixelBuffer;
using flowrun::io::Rect;
namespace fake_cuda = flowrun::fake_cuda;

namespace {
std::atomic<int> count{0};
constexpr auto ok = NVJPEG_STATUS_SUCCESS;
}  // namespace

struct nvjpegHandle {
  int device;
  unsigned flags;
};
struct nvjpegBufferPinned {};
struct nvjpegBufferDevice {};
struct nvjpegDecodeParams {
  nvjpegOutputFormat_t format = NVJPEG_OUTPUT_UNCHANGED;
  Rect region{0, 0, -1, -1};
};
struct nvjpegJpegStream {
  const unsigned char* data = nullptr;
  size_t size = 0;
  ImageInfo info;
};
struct nvjpegJpegDecoder {
  nvjpegBackend_t backend;
};
struct nvjpegJpegState {
  int device;
  nvjpegBackend_t backend;
  nvjpegBufferPinned_t pinned = nullptr;
  nvjpegBufferDevice_t buffer = nullptr;
  int steps = 0;
  nvjpegDecodeParams params;
  nvjpegJpegStream jpeg;
  std::vector<uint8_t> sent;
};

namespace {

template <class T, class... Parts>
nvjpegStatus_t make(T** out, Parts&&... parts) {
  *out = new T{std::forward<Parts>(parts)...};
  return ++count, ok;
}
template <class T>
nvjpegStatus_t destroy(T* object) {
  delete object;
  return --count, ok;
}

/// Spoils pixels in `pixels` that depend on neighbours outside the region.
void spoil_edges(PixelBuffer& pixels, const Rect& region, const ImageInfo& info) {
  constexpr int reach = 4;
  for (int y = 0; y < region.height; ++y) {
    for (int x = 0; x < region.width; ++x) {
      const bool inside = (x >= reach || region.x == 0) && (y >= reach || region.y == 0) &&
                          (x < region.width - reach || region.x + region.width == info.width) &&
                          (y < region.height - reach || region.y + region.height == info.height);
      uint8_t* const pixel = pixels.pixels.data() + (static_cast<size_t>(y) * static_cast<size_t>(region.width) + static_cast<size_t>(x)) * 3;
      if (!inside) pixel[0] ^= 0xff;
    }
  }
}

void decode(const std::vector<uint8_t>& sent, const Rect& region, const ImageInfo& info, const nvjpegImage_t& to) {
  flowrun::io::JpegDecoder decoder;
  PixelBuffer pixels;
  try {
    decoder.decode(sent, region, pixels);
  } catch (const flowrun::io::Error&) {
    return;
  }
  spoil_edges(pixels, region, info);
  const size_t row = static_cast<size_t>(region.width) * 3;
  for (size_t y = 0; y < static_cast<size_t>(region.height); ++y) {
    std::copy_n(pixels.pixels.data() + y * row, row, to.channel[0] + y * to.pitch[0]);
  }
}

}  // namespace

extern "C" {

int fake_nvjpeg_alive() { return count; }

nvjpegStatus_t nvjpegCreateEx(nvjpegBackend_t, nvjpegDevAllocator_t*, nvjpegPinnedAllocator_t*, unsigned flags, nvjpegHandle_t* handle) {
  *handle = new nvjpegHandle{fake_cuda::device(), flags};
  return (flags & NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION) != 0 ? ok : NVJPEG_STATUS_INVALID_PARAMETER;
}
nvjpegStatus_t nvjpegDecoderCreate(nvjpegHandle_t, nvjpegBackend_t backend, nvjpegJpegDecoder_t* decoder) { return make(decoder, backend); }
nvjpegStatus_t nvjpegDecoderDestroy(nvjpegJpegDecoder_t decoder) { return destroy(decoder); }
nvjpegStatus_t nvjpegDecoderStateCreate(nvjpegHandle_t handle, nvjpegJpegDecoder_t decoder, nvjpegJpegState_t* state) {
  return make(state, handle->device, decoder->backend);
}
nvjpegStatus_t nvjpegJpegStateDestroy(nvjpegJpegState_t state) { return destroy(state); }
nvjpegStatus_t nvjpegDecoderJpegSupported(nvjpegJpegDecoder_t decoder, nvjpegJpegStream_t jpeg, nvjpegDecodeParams_t, int* is_supported) {
  *is_supported = decoder->backend == NVJPEG_BACKEND_GPU_HYBRID && jpeg->info.progressive ? 1 : 0;
  return ok;
}
nvjpegStatus_t nvjpegBufferPinnedCreate(nvjpegHandle_t, nvjpegPinnedAllocator_t*, nvjpegBufferPinned_t* buffer) { return make(buffer); }
nvjpegStatus_t nvjpegBufferPinnedDestroy(nvjpegBufferPinned_t buffer) { return destroy(buffer); }
nvjpegStatus_t nvjpegBufferDeviceCreate(nvjpegHandle_t, nvjpegDevAllocator_t*, nvjpegBufferDevice_t* buffer) { return make(buffer); }
nvjpegStatus_t nvjpegBufferDeviceDestroy(nvjpegBufferDevice_t buffer) { return destroy(buffer); }
nvjpegStatus_t nvjpegStateAttachPinnedBuffer(nvjpegJpegState_t state, nvjpegBufferPinned_t buffer) { return state->pinned = buffer, ok; }
nvjpegStatus_t nvjpegStateAttachDeviceBuffer(nvjpegJpegState_t state, nvjpegBufferDevice_t buffer) { return state->buffer = buffer, ok; }

nvjpegStatus_t nvjpegJpegStreamCreate(nvjpegHandle_t, nvjpegJpegStream_t* jpeg) { return make(jpeg); }
nvjpegStatus_t nvjpegJpegStreamDestroy(nvjpegJpegStream_t jpeg) { return destroy(jpeg); }
nvjpegStatus_t nvjpegJpegStreamParse(nvjpegHandle_t, const unsigned char* data, size_t size, int, int, nvjpegJpegStream_t jpeg) {
  try {
    jpeg->info = flowrun::io::read_image_info({data, size});
  } catch (const flowrun::io::Error&) {
    return NVJPEG_STATUS_BAD_JPEG;
  }
  return jpeg->data = data, jpeg->size = size, ok;
}
nvjpegStatus_t nvjpegJpegStreamGetFrameDimensions(nvjpegJpegStream_t jpeg, unsigned* width, unsigned* height) {
  *width = static_cast<unsigned>(jpeg->info.width), *height = static_cast<unsigned>(jpeg->info.height);
  return ok;
}
nvjpegStatus_t nvjpegJpegStreamGetComponentsNum(nvjpegJpegStream_t jpeg, unsigned* components) {
  return *components = static_cast<unsigned>(jpeg->info.channels), ok;
}
nvjpegStatus_t nvjpegJpegStreamGetChromaSubsampling(nvjpegJpegStream_t jpeg, nvjpegChromaSubsampling_t* sampling) {
  return *sampling = jpeg->info.channels == 1 ? NVJPEG_CSS_GRAY : NVJPEG_CSS_420, ok;
}

nvjpegStatus_t nvjpegDecodeParamsCreate(nvjpegHandle_t, nvjpegDecodeParams_t* params) { return make(params); }
nvjpegStatus_t nvjpegDecodeParamsDestroy(nvjpegDecodeParams_t params) { return destroy(params); }
nvjpegStatus_t nvjpegDecodeParamsSetOutputFormat(nvjpegDecodeParams_t params, nvjpegOutputFormat_t format) { return params->format = format, ok; }
nvjpegStatus_t nvjpegDecodeParamsSetROI(nvjpegDecodeParams_t params, int x, int y, int width, int height) {
  return params->region = {x, y, width, height}, ok;
}

nvjpegStatus_t nvjpegDecodeJpegHost(nvjpegHandle_t handle, nvjpegJpegDecoder_t decoder, nvjpegJpegState_t state, nvjpegDecodeParams_t params,
                                    nvjpegJpegStream_t jpeg) {
  if (fake_cuda::device() != handle->device || state->device != handle->device || state->pinned == nullptr || decoder->backend != state->backend) {
    return NVJPEG_STATUS_NOT_INITIALIZED;
  }
  Rect& region = params->region;
  if (region.width == -1) region = {0, 0, jpeg->info.width, jpeg->info.height};
  if (region.x < 0 || region.y < 0 || region.x + region.width > jpeg->info.width || region.y + region.height > jpeg->info.height ||
      params->format != NVJPEG_OUTPUT_RGBI) {
    return NVJPEG_STATUS_INVALID_PARAMETER;
  }
  if (state->backend == NVJPEG_BACKEND_HYBRID) {
    try {
      PixelBuffer pixels;
      flowrun::io::JpegDecoder().decode({jpeg->data, jpeg->size}, pixels);
    } catch (const flowrun::io::Error&) {
      return NVJPEG_STATUS_BAD_JPEG;
    }
  }
  state->params = *params, state->jpeg = *jpeg, state->steps = 1;
  return ok;
}
nvjpegStatus_t nvjpegDecodeJpegTransferToDevice(nvjpegHandle_t, nvjpegJpegDecoder_t, nvjpegJpegState_t state, nvjpegJpegStream_t jpeg,
                                                cudaStream_t stream) {
  if (state->steps != 1 || state->buffer == nullptr) return NVJPEG_STATUS_NOT_INITIALIZED;
  state->steps = 2;
  fake_cuda::submit(stream, [state, data = jpeg->data, size = jpeg->size] { state->sent.assign(data, data + size); });
  return ok;
}
nvjpegStatus_t nvjpegDecodeJpegDevice(nvjpegHandle_t, nvjpegJpegDecoder_t, nvjpegJpegState_t state, nvjpegImage_t* image, cudaStream_t stream) {
  if (state->steps != 2) return NVJPEG_STATUS_NOT_INITIALIZED;
  state->steps = 0;
  if (image->pitch[0] < static_cast<size_t>(state->params.region.width) * 3) return NVJPEG_STATUS_INVALID_PARAMETER;
  fake_cuda::submit(stream, [state, to = *image] { decode(state->sent, state->params.region, state->jpeg.info, to); });
  return ok;
}
}
