#include "io/shards/zstd_frames.h"

#include <memory>
#include <new>
#include <zstd.h>

#include "io/error.h"

namespace flowrun::io {

namespace {

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

template <class Context>
std::unique_ptr<Context, Free> held(Context* context) {
  if (context == nullptr) throw std::bad_alloc();
  return std::unique_ptr<Context, Free>(context);
}

ZSTD_DCtx* decompressor(void* context) { return static_cast<ZSTD_DCtx*>(context); }

}  // namespace

bool looks_like_zstd(std::span<const uint8_t> first_bytes) {
  if (first_bytes.size() < 4) return false;
  const uint32_t magic = first_bytes[0] | first_bytes[1] << 8 | first_bytes[2] << 16 | static_cast<uint32_t>(first_bytes[3]) << 24;
  return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

ZstdStream::ZstdStream(ByteStream& compressed, std::string where)
    : compressed_(compressed), where_(std::move(where)), context_(held(ZSTD_createDCtx()).release()), buffer_(ZSTD_DStreamInSize()) {}

ZstdStream::~ZstdStream() { ZSTD_freeDCtx(decompressor(context_)); }

void ZstdStream::end_frame() {
  frame_.size = consumed_ - frame_.offset;
  frame_.content_size = produced_ - frame_.content_offset;
  if (frame_.content_size > 0) frames_.push_back(frame_);
  in_frame_ = false;
}

size_t ZstdStream::read(uint8_t* out, size_t size) {
  if (size == 0) return 0;
  while (true) {
    bool ended = false;
    if (begin_ == end_) {
      begin_ = 0, end_ = compressed_.read(buffer_.data(), buffer_.size());
      ended = end_ == 0;
      if (ended && !in_frame_) return 0;
    }
    if (!in_frame_) frame_ = {.offset = consumed_, .content_offset = produced_}, in_frame_ = true;
    // Without input it still flushes buffered output.
    ZSTD_inBuffer input{buffer_.data(), end_, begin_};
    ZSTD_outBuffer output{out, size, 0};
    const size_t left = ZSTD_decompressStream(decompressor(context_), &output, &input);
    if (ZSTD_isError(left)) {
      throw Error(where_ + ": damaged zstd data (byte " + std::to_string(consumed_) + "): " + ZSTD_getErrorName(left));
    }
    consumed_ += input.pos - begin_, begin_ = input.pos;
    produced_ += output.pos;
    if (left == 0) end_frame();
    if (output.pos > 0) return output.pos;
    if (ended && left != 0) {
      throw Error(where_ + " is cut short: it ends inside a frame, after " + std::to_string(consumed_) +
                  " compressed bytes; fetch or write it again");
    }
  }
}

void append_zstd_frame(std::span<const uint8_t> content, std::vector<uint8_t>& out) {
  thread_local const auto context = [] {
    auto made = held(ZSTD_createCCtx());
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_compressionLevel, zstd_level);
    ZSTD_CCtx_setParameter(made.get(), ZSTD_c_checksumFlag, 1);
    return made;
  }();
  const size_t have = out.size();
  out.resize(have + ZSTD_compressBound(content.size()));
  const size_t size = ZSTD_compress2(context.get(), out.data() + have, out.size() - have, content.data(), content.size());
  if (ZSTD_isError(size)) throw Error(std::string("zstd can't compress: ") + ZSTD_getErrorName(size));
  out.resize(have + size);
}

void decompress_zstd_frame(std::span<const uint8_t> frame, std::span<uint8_t> content) {
  thread_local const auto context = held(ZSTD_createDCtx());
  const size_t size = ZSTD_decompressDCtx(context.get(), content.data(), content.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) throw Error(std::string("damaged zstd data: ") + ZSTD_getErrorName(size));
  if (size != content.size()) throw Error("a zstd frame of " + std::to_string(size) + " bytes in place of " + std::to_string(content.size()));
}

}  // namespace flowrun::io
