#include "io/codec/tiff.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <tiffio.h>
#include <vector>

#include "io/codec/samples.h"
#include "io/error.h"

namespace flowrun::io {

namespace {

using Bytes = std::span<const uint8_t>;

// libtiff on bytes in memory. Its messages go to the first error's text, never to stderr.
class TiffFile {
 public:
  explicit TiffFile(Bytes bytes) : bytes_(bytes) {
    constexpr tmsize_t most = tmsize_t{1} << 31;  // bytes that it takes at once
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
    if (!options) throw Error("libtiff has no memory");
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, this);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, this);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), most);
    // m: only by read and seek, whose bounds are checked here.
    tiff_.reset(TIFFClientOpenExt("TIFF", "rm", this, read, write, seek, close, size, nullptr, nullptr, options.get()));
    // libtiff ignores values that it can't read, and treats a palette's indices as gray.
    if (!tiff_ || ended_) fail();
  }
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  TIFF* get() const { return tiff_.get(); }
  bool ended() const { return ended_; }
  // The next strip or tile is judged separately.
  void forget() { ended_ = false, message_[0] = '\0'; }
  bool holds(uint64_t offset, uint64_t count) const { return offset <= bytes_.size() && count <= bytes_.size() - offset; }

  std::string broken(const std::string& why) const { return "broken TIFF of " + std::to_string(bytes_.size()) + " bytes: " + why; }
  [[noreturn]] void fail() const {
    if (ended_) throw TruncatedError(broken("truncated: the file ends too early"));
    throw Error(broken(message_[0] != '\0' ? message_ : "it can't be read"));
  }

  uint16_t u16(uint32_t tag) const {
    uint16_t value = 0;
    TIFFGetFieldDefaulted(get(), tag, &value);
    return value;
  }
  uint32_t u32(uint32_t tag) const {
    uint32_t value = 0;
    TIFFGetField(get(), tag, &value);
    return value;
  }

 private:
  struct Close {
    void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  };

  static int on_error(TIFF*, void* self, const char*, const char* format, va_list values) {
    auto* const file = static_cast<TiffFile*>(self);
    if (file->message_[0] == '\0') vsnprintf(file->message_, sizeof file->message_, format, values);
    return 1;
  }
  static int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }

  static tmsize_t read(thandle_t self, void* out, tmsize_t count) {
    auto* const file = static_cast<TiffFile*>(self);
    const uint64_t wanted = static_cast<uint64_t>(std::max<tmsize_t>(count, 0));
    const uint64_t there = file->at_ < file->bytes_.size() ? std::min<uint64_t>(wanted, file->bytes_.size() - file->at_) : 0;
    if (there > 0) std::memcpy(out, file->bytes_.data() + file->at_, there);
    file->at_ += there;
    file->ended_ = file->ended_ || there < wanted;
    return static_cast<tmsize_t>(there);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t self, toff_t offset, int whence) {
    auto* const file = static_cast<TiffFile*>(self);
    const uint64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file->at_ : file->bytes_.size();
    file->at_ = from + offset;
    file->ended_ = file->ended_ || file->at_ > file->bytes_.size();
    return file->at_;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t self) { return static_cast<TiffFile*>(self)->bytes_.size(); }

  Bytes bytes_;
  uint64_t at_ = 0;
  bool ended_ = false;  // libtiff asked for more bytes than there are
  char message_[160] = "";
  std::unique_ptr<TIFF, Close> tiff_;
};

enum class Kind { bits, u8, u16, i8, i16, u32, i32, f32, f64 };
enum class Colours { gray, rgb, palette, cmyk, by_libtiff };

struct Layout {
  int width = 0, height = 0;
  size_t bands = 1;  // as stored
  size_t bits = 1;
  Kind kind = Kind::u8;
  Colours colours = Colours::gray;
  size_t used = 1;             // bands that pixels are made of
  bool is_multiplied = false;  // by alpha, which is the last of them
  bool is_inverted = false;    // 0 is white
  bool is_planar = false;      // bands are stored separately
  std::string odd;             // why it is not read
};

ImageInfo info_of(const TiffFile& file) {
  const uint32_t width = file.u32(TIFFTAG_IMAGEWIDTH), height = file.u32(TIFFTAG_IMAGELENGTH);
  if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX) throw Error(file.broken("its header gives no size"));
  ImageInfo info;
  info.format = ImageFormat::tiff;
  info.width = static_cast<int>(width), info.height = static_cast<int>(height);
  info.channels = file.u16(TIFFTAG_SAMPLESPERPIXEL);
  const int orientation = file.u16(TIFFTAG_ORIENTATION);
  if (orientation >= 1 && orientation <= 8) info.orientation = orientation;
  return info;
}

std::optional<Kind> kind_of(size_t bits, int format) {
  const bool is_signed = format == SAMPLEFORMAT_INT, is_float = format == SAMPLEFORMAT_IEEEFP;
  if (!is_signed && !is_float && format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) return {};
  switch (bits) {
    case 1:
    case 2:
    case 4:
      return is_float || is_signed ? std::nullopt : std::optional(Kind::bits);
    case 8:
      return is_float ? std::nullopt : std::optional(is_signed ? Kind::i8 : Kind::u8);
    case 16:
      return is_float ? std::nullopt : std::optional(is_signed ? Kind::i16 : Kind::u16);
    case 32:
      return is_float ? Kind::f32 : is_signed ? Kind::i32 : Kind::u32;
    case 64:
      return is_float ? std::optional(Kind::f64) : std::nullopt;
    default:
      return {};
  }
}

// The kind of colours; throws on kinds that are not read.
Colours colours_of(const TiffFile& file, size_t bands) {
  const int photometric = file.u16(TIFFTAG_PHOTOMETRIC), compression = file.u16(TIFFTAG_COMPRESSION);
  if (compression == COMPRESSION_OJPEG)
    throw Error("cannot decode a TIFF whose JPEG is of the old kind (compression 6): convert it, to PNG for example");
  switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
      return bands < 3 ? Colours::gray : Colours::rgb;
    case PHOTOMETRIC_RGB:
      return Colours::rgb;
    case PHOTOMETRIC_PALETTE:
      return Colours::palette;
    case PHOTOMETRIC_SEPARATED:
      if (file.u16(TIFFTAG_INKSET) == INKSET_CMYK) return Colours::cmyk;
      break;
    case PHOTOMETRIC_YCBCR:
      if (bands == 1) return Colours::gray;
      if (compression != COMPRESSION_JPEG || file.u16(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE) return Colours::by_libtiff;
      TIFFSetField(file.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      return Colours::rgb;
    default:
      break;
  }
  throw Error("cannot decode a TIFF of this colour space (photometric interpretation " + std::to_string(photometric) +
              "): convert it, to PNG for example");
}

Layout layout_of(const TiffFile& file, const ImageInfo& info) {
  Layout out;
  out.width = info.width, out.height = info.height;
  out.bands = static_cast<size_t>(info.channels);
  out.bits = file.u16(TIFFTAG_BITSPERSAMPLE);
  out.colours = colours_of(file, out.bands);
  const int format = file.u16(TIFFTAG_SAMPLEFORMAT);
  const auto kind = kind_of(out.bits, format);
  const bool is_deep = out.bits > 8;
  if (!kind || (is_deep && (out.colours == Colours::palette || out.colours == Colours::by_libtiff))) {
    throw Error("cannot decode a TIFF of " + std::to_string(out.bits) + " bits a sample" + (format == SAMPLEFORMAT_IEEEFP ? ", floating point" : "") +
                ": convert it, to PNG or 32 bits for example");
  }
  out.kind = out.colours == Colours::palette && *kind == Kind::i8 ? Kind::u8 : *kind;
  const size_t colours = out.colours == Colours::rgb || out.colours == Colours::by_libtiff ? 3 : out.colours == Colours::cmyk ? 4 : 1;
  if (out.bands < colours || out.bands > std::max<size_t>(colours + 1, 1)) {
    throw Error("cannot decode a TIFF of " + std::to_string(out.bands) + " bands: 1 to 4 are read, gray or RGB, with or without alpha");
  }
  uint16_t extras = 0;
  const uint16_t* meanings = nullptr;
  TIFFGetFieldDefaulted(file.get(), TIFFTAG_EXTRASAMPLES, &extras, &meanings);
  out.is_multiplied = out.bands == colours + 1 && colours == 3 && extras == 1 && meanings[0] == EXTRASAMPLE_ASSOCALPHA &&
                      (out.kind == Kind::u8 || out.kind == Kind::u16);
  out.used = colours + (out.is_multiplied ? 1 : 0);
  out.is_inverted = out.colours == Colours::gray && file.u16(TIFFTAG_PHOTOMETRIC) == PHOTOMETRIC_MINISWHITE;
  out.is_planar = out.bands > 1 && file.u16(TIFFTAG_PLANARCONFIG) == PLANARCONFIG_SEPARATE;
  return out;
}

// Samples of any kind to bytes; palette indices stay as they are.
class Unpacker {
 public:
  Unpacker(const Layout& layout, const std::optional<SampleRange>& range) : layout_(layout), scale(range) {}

  // COUNT samples from the FIRSTth of a row on, each the STEPth.
  void run(const uint8_t* row, size_t first, size_t count, size_t step, uint8_t* out, size_t out_step) {
    const uint8_t* const in = row + first * layout_.bits / 8;
    switch (layout_.kind) {
      case Kind::bits:
        return run_bits(row, first, count, step, out, out_step);
      case Kind::u8:
        for (size_t i = 0; i < count; ++i) out[i * out_step] = in[i * step];
        return;
      case Kind::u16:
        return scale.convert<uint16_t>(in, count, step, out, out_step);
      case Kind::i8:
        return scale.convert<int8_t>(in, count, step, out, out_step);
      case Kind::i16:
        return scale.convert<int16_t>(in, count, step, out, out_step);
      case Kind::u32:
        return scale.convert<uint32_t>(in, count, step, out, out_step);
      case Kind::i32:
        return scale.convert<int32_t>(in, count, step, out, out_step);
      case Kind::f32:
        return scale.convert<float>(in, count, step, out, out_step);
      case Kind::f64:
        return scale.convert<double>(in, count, step, out, out_step);
    }
  }

 private:
  void run_bits(const uint8_t* row, size_t first, size_t count, size_t step, uint8_t* out, size_t out_step) const {
    const size_t bits = layout_.bits;
    const unsigned most = (1u << bits) - 1, factor = layout_.colours == Colours::palette ? 1 : 255 / most;
    for (size_t i = 0; i < count; ++i) {
      const size_t at = (first + i * step) * bits;
      out[i * out_step] = static_cast<uint8_t>((row[at / 8] >> (8 - bits - at % 8) & most) * factor);
    }
  }

  const Layout& layout_;

 public:
  SampleScale scale;
};

// Reads the strips or tiles that a region touches, into its H W used.
class BlockReader {
 public:
  BlockReader(TiffFile& file, const Layout& layout, const DecodeRequest& request, const Rect& region, PixelBuffer& parts)
      : file_(file), layout_(layout), request_(request), region_(region), parts_(parts), unpacker_(layout, request.range) {}

  Found run() {
    parts_.reshape(region_.height, region_.width, static_cast<int>(layout_.used));
    const bool tiled = TIFFIsTiled(file_.get()) != 0;
    const uint32_t width = tiled ? file_.u32(TIFFTAG_TILEWIDTH) : static_cast<uint32_t>(layout_.width);
    uint32_t height = static_cast<uint32_t>(layout_.height);
    if (tiled) {
      height = file_.u32(TIFFTAG_TILELENGTH);
    } else {
      uint32_t rows = 0;
      TIFFGetFieldDefaulted(file_.get(), TIFFTAG_ROWSPERSTRIP, &rows);
      height = std::min(rows, height);
    }
    // A tile may reach over the picture's edges, but not be much larger than it.
    const double most = std::max(2.0 * layout_.width * layout_.height, double{1 << 24});
    if (width == 0 || height == 0 || static_cast<double>(width) * height > most) {
      throw Error(file_.broken("strips or tiles of " + std::to_string(width) + "x" + std::to_string(height)));
    }
    block_width_ = static_cast<int>(width), block_height_ = static_cast<int>(height);
    row_bytes_ = (width * (layout_.is_planar ? 1 : layout_.bands) * layout_.bits + 7) / 8;
    block_.resize(row_bytes_ * height);
    for (size_t band = 0; band < (layout_.is_planar ? layout_.used : 1); ++band) read_band(band, tiled);
    Found found;
    found.truncated = truncated_;
    if (layout_.kind != Kind::bits && layout_.kind != Kind::u8) found.deep = unpacker_.scale.seen();
    return found;
  }

 private:
  void read_band(size_t band, bool tiled) {
    for (int top = region_.y / block_height_ * block_height_; top < region_.y + region_.height; top += block_height_) {
      for (int left = region_.x / block_width_ * block_width_; left < region_.x + region_.width; left += block_width_) {
        const auto x = static_cast<uint32_t>(left), y = static_cast<uint32_t>(top);
        const auto sample = static_cast<uint16_t>(band);
        const uint32_t index = tiled ? TIFFComputeTile(file_.get(), x, y, 0, sample) : TIFFComputeStrip(file_.get(), y, sample);
        const bool there = read_block(index, tiled, std::min(block_height_, layout_.height - top));
        take(left, top, band, there);
      }
    }
  }

  // False: the file ends within it, and truncated files are kept.
  bool read_block(uint32_t index, bool tiled, int rows) {
    file_.forget();
    const auto wanted = static_cast<tmsize_t>(row_bytes_ * static_cast<size_t>(tiled ? block_height_ : rows));
    const tmsize_t got =
        tiled ? TIFFReadEncodedTile(file_.get(), index, block_.data(), wanted) : TIFFReadEncodedStrip(file_.get(), index, block_.data(), wanted);
    if (got == wanted) return true;
    const bool is_cut = file_.ended() || !file_.holds(TIFFGetStrileOffset(file_.get(), index), TIFFGetStrileByteCount(file_.get(), index));
    if (is_cut && !request_.keep_truncated) throw TruncatedError(file_.broken("truncated: the file ends too early"));
    if (!is_cut) file_.fail();
    truncated_ = true;
    return false;
  }

  // The part of the region in the block at LEFT, TOP.
  void take(int left, int top, size_t band, bool there) {
    const int from = std::max(left, region_.x), to = std::min(left + block_width_, region_.x + region_.width);
    const size_t used = layout_.used, count = static_cast<size_t>(to - from), bands = layout_.is_planar ? 1 : layout_.bands;
    for (int y = std::max(top, region_.y); y < std::min(top + block_height_, region_.y + region_.height); ++y) {
      const size_t pixel = static_cast<size_t>(y - region_.y) * static_cast<size_t>(region_.width) + static_cast<size_t>(from - region_.x);
      uint8_t* const out = parts_.pixels.data() + pixel * used;
      const uint8_t* const row = block_.data() + static_cast<size_t>(y - top) * row_bytes_;
      const size_t begin = layout_.is_planar ? band : 0, end = layout_.is_planar ? band + 1 : used;
      for (size_t part = begin; part < end; ++part) {
        if (there) {
          unpacker_.run(row, static_cast<size_t>(from - left) * bands + (layout_.is_planar ? 0 : part), count, bands, out + part, used);
        } else {
          for (size_t i = 0; i < count; ++i) out[i * used + part] = 0;
        }
      }
    }
  }

  TiffFile& file_;
  const Layout& layout_;
  const DecodeRequest& request_;
  Rect region_;
  PixelBuffer& parts_;
  Unpacker unpacker_;
  int block_width_ = 0, block_height_ = 0;
  size_t row_bytes_ = 0;
  std::vector<uint8_t> block_;
  bool truncated_ = false;
};

// As Pillow has it: the upper bytes of the map. A map of bytes, as some programs write it, is taken as it is.
std::array<uint8_t, 768> palette_of(const TiffFile& file, size_t bits) {
  std::array<uint8_t, 768> palette{};
  std::array<const uint16_t*, 3> map{};
  if (TIFFGetField(file.get(), TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]) == 0) throw Error(file.broken("it has no palette"));
  const size_t count = size_t{1} << bits;
  const bool wide = std::any_of(map.begin(), map.end(), [&](const uint16_t* m) { return std::any_of(m, m + count, [](int v) { return v > 255; }); });
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) palette[i * 3 + c] = static_cast<uint8_t>(wide ? map[c][i] >> 8 : map[c][i]);
  }
  return palette;
}

void rgb_from_cmyk(const uint8_t* in, uint8_t* out) {
  const int white = 255 - in[3];
  for (int c = 0; c < 3; ++c) {
    const int product = in[c] * white + 128;
    out[c] = static_cast<uint8_t>(std::clamp(white - (((product >> 8) + product) >> 8), 0, 255));
  }
}

void divide_by_alpha(const uint8_t* in, uint8_t* out) {
  const int alpha = in[3];
  for (int c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(alpha == 0 ? 0 : alpha == 255 ? in[c] : std::min(in[c] * 255 / alpha, 255));
}

// From the PARTS of a pixel to its colour.
void colour(const TiffFile& file, const Layout& layout, const PixelBuffer& parts, PixelBuffer& out) {
  out.reshape(parts.height, parts.width, 3);
  std::array<uint8_t, 768> palette{};
  if (layout.colours == Colours::palette) palette = palette_of(file, layout.bits);
  const uint8_t flip = layout.is_inverted ? 255 : 0;
  const uint8_t* in = parts.pixels.data();
  for (size_t i = 0; i < out.pixels.size(); i += 3, in += layout.used) {
    uint8_t* const to = &out.pixels[i];
    if (layout.colours == Colours::palette) {
      std::memcpy(to, &palette[size_t{*in} * 3], 3);
    } else if (layout.colours == Colours::gray) {
      to[0] = to[1] = to[2] = *in ^ flip;
    } else if (layout.colours == Colours::cmyk) {
      rgb_from_cmyk(in, to);
    } else {
      layout.is_multiplied ? divide_by_alpha(in, to) : static_cast<void>(std::memcpy(to, in, 3));
    }
  }
}

// YCbCr with coarser chroma, which libtiff itself converts to RGB: the whole picture, as it is stored.
void decode_by_libtiff(const TiffFile& file, const Rect& region, PixelBuffer& out) {
  TIFFRGBAImage image;
  char why[1024] = "";
  if (TIFFRGBAImageBegin(&image, file.get(), 1, why) == 0) throw Error(file.broken(why));
  const std::unique_ptr<TIFFRGBAImage, decltype(&TIFFRGBAImageEnd)> end(&image, TIFFRGBAImageEnd);
  image.req_orientation = image.orientation;
  std::vector<uint32_t> raster(static_cast<size_t>(image.width) * image.height);
  if (TIFFRGBAImageGet(&image, raster.data(), image.width, image.height) == 0) file.fail();
  out.reshape(region.height, region.width, 3);
  uint8_t* to = out.pixels.data();
  for (int y = region.y; y < region.y + region.height; ++y) {
    const uint32_t* pixel = raster.data() + static_cast<size_t>(y) * image.width + static_cast<size_t>(region.x);
    for (int x = 0; x < region.width; ++x, ++pixel, to += 3) {
      to[0] = static_cast<uint8_t>(TIFFGetR(*pixel)), to[1] = static_cast<uint8_t>(TIFFGetG(*pixel)), to[2] = static_cast<uint8_t>(TIFFGetB(*pixel));
    }
  }
}

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.6g", value);
  return text;
}

}  // namespace

ImageInfo read_tiff_info(Bytes bytes) { return info_of(TiffFile(bytes)); }

Found decode_tiff(Bytes bytes, const DecodeRequest& request, PixelBuffer& scratch, PixelBuffer& out) {
  if (recognise_format(bytes) != ImageFormat::tiff) throw Error("not a TIFF: " + describe_content(bytes));
  TiffFile file(bytes);
  const ImageInfo info = info_of(file);
  const Rect region = checked_region(request, ImageFormat::tiff, info.width, info.height);
  const Layout layout = layout_of(file, info);
  if (layout.colours == Colours::by_libtiff) {
    decode_by_libtiff(file, region, out);
    return {};
  }
  const Found found = BlockReader(file, layout, request, region, scratch).run();
  const bool needs_range = layout.kind != Kind::bits && layout.kind != Kind::u8 && layout.kind != Kind::u16;
  if (needs_range && !request.range) {
    throw Error("the TIFF has samples of " + std::to_string(layout.bits) + " bits" +
                (layout.kind == Kind::f32 || layout.kind == Kind::f64 ? ", floating point" : ", signed or more than 16") +
                (found.deep ? ", here from " + number(found.deep->low) + " to " + number(found.deep->high) : "") +
                ": say with \"range\": [low, high] which values become 0 and 255");
  }
  colour(file, layout, scratch, out);
  return found;
}

}  // namespace flowrun::io
