#include "io/codec/gif.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <gif_lib.h>
#include <optional>
#include <string>
#include <vector>

#include "io/error.h"

namespace flowrun::io {

namespace {

// A GIF up to the data of its first frame.
class GifReader {
 public:
  explicit GifReader(std::span<const uint8_t> bytes) : bytes_(bytes) {
    int fault = 0;
    gif_ = DGifOpen(this, read, &fault);
    if (gif_ == nullptr) fail(fault);
    try {
      find_frame();
    } catch (...) {
      close();
      throw;
    }
  }
  ~GifReader() { close(); }
  GifReader(const GifReader&) = delete;
  GifReader& operator=(const GifReader&) = delete;

  const GifImageDesc& frame() const { return gif_->Image; }
  int width() const { return std::max<int>(gif_->SWidth, frame().Left + frame().Width); }
  int height() const { return std::max<int>(gif_->SHeight, frame().Top + frame().Height); }
  uint8_t background() const { return transparent_.value_or(0); }
  bool ended() const { return ended_; }
  bool read_row(uint8_t* indices) { return DGifGetLine(gif_, indices, frame().Width) == GIF_OK; }
  [[noreturn]] void fail() const { fail(gif_->Error); }

  // Without a palette, and for indices beyond it, indices are gray.
  std::array<uint8_t, 768> palette() const {
    std::array<uint8_t, 768> colours{};
    for (size_t i = 0; i < colours.size(); ++i) colours[i] = static_cast<uint8_t>(i / 3);
    const ColorMapObject* const map = frame().ColorMap != nullptr ? frame().ColorMap : gif_->SColorMap;
    for (int i = 0; map != nullptr && i < std::min(map->ColorCount, 256); ++i) {
      const GifColorType& colour = map->Colors[i];
      uint8_t* const to = &colours[static_cast<size_t>(i) * 3];
      to[0] = colour.Red, to[1] = colour.Green, to[2] = colour.Blue;
    }
    return colours;
  }

 private:
  static int read(GifFileType* gif, GifByteType* out, int count) {
    auto* const reader = static_cast<GifReader*>(gif->UserData);
    const size_t there = std::min(static_cast<size_t>(std::max(count, 0)), reader->bytes_.size() - reader->at_);
    if (there > 0) std::memcpy(out, reader->bytes_.data() + reader->at_, there);
    reader->at_ += there;
    reader->ended_ = reader->ended_ || there < static_cast<size_t>(count);
    return static_cast<int>(there);
  }

  void close() {
    int fault = 0;
    DGifCloseFile(gif_, &fault);
  }

  [[noreturn]] void fail(int fault) const {
    const char* const why = GifErrorString(fault);
    const std::string text = "broken GIF of " + std::to_string(bytes_.size()) + " bytes: ";
    if (ended_) throw TruncatedError(text + "truncated: the file ends too early");
    throw Error(text + (why != nullptr ? why : "it can't be read"));
  }

  void find_frame() {
    while (true) {
      GifRecordType record = UNDEFINED_RECORD_TYPE;
      if (DGifGetRecordType(gif_, &record) != GIF_OK) fail();
      if (record == EXTENSION_RECORD_TYPE) {
        read_extension();
      } else if (record == IMAGE_DESC_RECORD_TYPE) {
        if (DGifGetImageDesc(gif_) != GIF_OK) fail();
        break;
      } else {
        throw Error("broken GIF of " + std::to_string(bytes_.size()) + " bytes: it has no picture");
      }
    }
    if (frame().Width < 1 || frame().Height < 1 || frame().Left < 0 || frame().Top < 0) {
      throw Error("broken GIF of " + std::to_string(bytes_.size()) + " bytes: its header gives a size of " + std::to_string(frame().Width) + "x" +
                  std::to_string(frame().Height));
    }
  }

  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    for (int result = DGifGetExtension(gif_, &code, &block);; result = DGifGetExtensionNext(gif_, &block)) {
      if (result != GIF_OK) fail();
      if (block == nullptr) return;
      const bool tells_transparency = code == GRAPHICS_EXT_FUNC_CODE && block[0] >= 4 && (block[1] & 1) != 0;
      if (tells_transparency) transparent_ = block[4];
    }
  }

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  bool ended_ = false;  // giflib asked for more bytes than there are
  std::optional<uint8_t> transparent_;
  GifFileType* gif_ = nullptr;
};

// The frame's row that is the COUNTth in the file.
class RowOrder {
 public:
  explicit RowOrder(const GifImageDesc& frame) : height_(frame.Height), step_(frame.Interlace ? 8 : 1) {}
  int next() {
    const int row = at_;
    at_ += step_;
    while (at_ >= height_ && pass_ < 3 && step_ > 1) {
      static constexpr int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
      ++pass_;
      at_ = starts[pass_], step_ = steps[pass_];
    }
    return row;
  }

 private:
  int height_, step_, at_ = 0, pass_ = 0;
};

}  // namespace

ImageInfo read_gif_info(std::span<const uint8_t> bytes) {
  const GifReader reader(bytes);
  ImageInfo info;
  info.format = ImageFormat::gif;
  info.width = reader.width(), info.height = reader.height(), info.channels = 1;
  return info;
}

Found decode_gif(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out) {
  if (recognise_format(bytes) != ImageFormat::gif) throw Error("not a GIF: " + describe_content(bytes));
  GifReader reader(bytes);
  const Rect region = checked_region(request, ImageFormat::gif, reader.width(), reader.height());
  const GifImageDesc& frame = reader.frame();
  const std::array<uint8_t, 768> palette = reader.palette();
  const auto colour = [&](uint8_t index) { return &palette[static_cast<size_t>(index) * 3]; };
  out.reshape(region.height, region.width, 3);
  for (size_t i = 0; i < out.pixels.size(); i += 3) std::memcpy(&out.pixels[i], colour(reader.background()), 3);
  scratch.reshape(1, frame.Width, 1);
  const int left = std::max(region.x, frame.Left), right = std::min(region.x + region.width, frame.Left + frame.Width);
  Found found;
  RowOrder rows(frame);
  for (int i = 0; i < frame.Height; ++i) {
    const int y = frame.Top + rows.next();
    if (!found.truncated && !reader.read_row(scratch.pixels.data())) {
      if (!reader.ended() || !request.keep_truncated) reader.fail();
      found.truncated = true;
    }
    if (y < region.y || y >= region.y + region.height) continue;
    for (int x = left; x < right; ++x) {
      const size_t to = (static_cast<size_t>(y - region.y) * static_cast<size_t>(region.width) + static_cast<size_t>(x - region.x)) * 3;
      if (found.truncated) {
        std::memset(&out.pixels[to], 0, 3);
      } else {
        std::memcpy(&out.pixels[to], colour(scratch.pixels[static_cast<size_t>(x - frame.Left)]), 3);
      }
    }
  }
  return found;
}

}  // namespace flowrun::io
