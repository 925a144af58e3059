#include "io/codec/jpeg.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "io/codec/jpeg_tiles.h"
#include "io/codec/libjpeg.h"
#include "io/error.h"

namespace flowrun::io {

namespace {

using libjpeg::ErrorManager;
using libjpeg::guarded;
using libjpeg::set_up;
using libjpeg::throw_error;

void check_signature(std::span<const uint8_t> bytes) {
  if (bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) return;
  throw Error("not a JPEG: " + describe_content(bytes));
}

// Adobe's inverted CMYK to RGB in Pillow's rounding: 255 * (1 - c) * (1 - k) with the product rounded once.
void rgb_from_cmyk(const uint8_t* in, int width, uint8_t* out) {
  for (int x = 0; x < width; ++x, in += 4, out += 3) {
    const int black = in[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - in[c]) * black + 128;
      out[c] = static_cast<uint8_t>(std::clamp(black - (((product >> 8) + product) >> 8), 0, 255));
    }
  }
}

// libjpeg keeps the tables of one picture for the next, which may lack them; then a damaged file's pixels would depend on
// the file before it. So tables are removed before each picture, and their memory is reused for the next ones: libjpeg
// itself frees it only with the whole handle.
class TableMemory {
 public:
  void attach(jpeg_decompress_struct& info) {
    free_[0].reserve(2 * NUM_HUFF_TBLS), free_[1].reserve(NUM_QUANT_TBLS);
    alloc_small_ = info.mem->alloc_small;
    info.client_data = this;
    info.mem->alloc_small = [](j_common_ptr common, int pool, size_t size) {
      return static_cast<TableMemory*>(common->client_data)->allocate(common, pool, size);
    };
  }

  void take_away(jpeg_decompress_struct& info) {
    const auto take = [](auto*& table, std::vector<void*>& to) {
      if (table == nullptr) return;
      to.push_back(table);
      table = nullptr;
    };
    for (auto*& table : info.dc_huff_tbl_ptrs) take(table, free_[0]);
    for (auto*& table : info.ac_huff_tbl_ptrs) take(table, free_[0]);
    for (auto*& table : info.quant_tbl_ptrs) take(table, free_[1]);
  }

 private:
  void* allocate(j_common_ptr common, int pool, size_t size) {
    std::vector<void*>* const list = size == sizeof(JHUFF_TBL) ? &free_[0] : size == sizeof(JQUANT_TBL) ? &free_[1] : nullptr;
    if (pool != JPOOL_PERMANENT || list == nullptr || list->empty()) return alloc_small_(common, pool, size);
    void* const memory = list->back();
    list->pop_back();
    std::memset(memory, 0, size);
    return memory;
  }

  std::vector<void*> free_[2];  // Huffman tables, quantisation tables; never more than libjpeg has slots
  void* (*alloc_small_)(j_common_ptr, int, size_t) = nullptr;
};

// libjpeg-turbo writes a row past the caches if it begins at a multiple of 16 bytes (SSE2) or 32 (AVX2); whoever reads it next waits for memory.
bool goes_past_caches(const uint8_t* row) { return reinterpret_cast<uintptr_t>(row) % 16 == 0; }

}  // namespace

struct JpegDecoder::State {
  explicit State(int64_t limit) : max_pixels(limit) {
    set_up(errors);
    info.err = &errors.base;
    if (!guarded(errors, [&] { jpeg_create_decompress(&info); })) throw Error(std::string("libjpeg: ") + errors.message);
    tables.attach(info);
    libjpeg::limit_scans(info, progress);
  }
  ~State() { jpeg_destroy_decompress(&info); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void read_header(std::span<const uint8_t> bytes, int shrink);
  bool decode(std::span<const uint8_t> bytes, const DecodeRequest& request, int shrink, PixelBuffer& out);
  bool decode_tiles(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& out);
  void start(const Rect& region);
  void read_rows(const Rect& region, uint8_t* out);
  bool decodes_in_place(const Rect& region) const;
  void reserve_row(unsigned width);
  bool guesses() const;
  bool lacks_scans() const;

  int64_t max_pixels;
  ErrorManager errors{};
  jpeg_progress_mgr progress{};
  jpeg_decompress_struct info{};
  TableMemory tables;
  JpegTiles tiles;
  std::vector<uint8_t> memory;  // of `row`
  uint8_t* row = nullptr;       // one decoded row, wider than the region by margins and alignment
  unsigned row_start = 0;       // the image column where it begins
  PixelBuffer whole;            // for regions that must be cut out of the whole picture
};

void JpegDecoder::State::read_header(std::span<const uint8_t> bytes, int shrink) {
  check_signature(bytes);
  tables.take_away(info);
  const bool ok = guarded(errors, [&] {
    libjpeg::read_from(info, errors, bytes);
    jpeg_read_header(&info, TRUE);
    info.scale_num = 1;
    info.scale_denom = static_cast<unsigned>(shrink);
    jpeg_calc_output_dimensions(&info);
  });
  if (!ok) throw_error(errors, bytes.size());
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
    throw Error("cannot decode a JPEG of " + std::to_string(info.num_components) + " components");
  }
}

bool JpegDecoder::State::decodes_in_place(const Rect& region) const {
  return info.out_color_space == JCS_RGB && row_start == 0 && info.output_width == static_cast<unsigned>(region.width);
}

void JpegDecoder::State::reserve_row(unsigned width) {
  const size_t bytes = static_cast<size_t>(width) * 4 + 1;
  if (memory.size() < bytes) memory.resize(bytes);
  row = memory.data() + (goes_past_caches(memory.data()) ? 1 : 0);
}

// Prepares rows around the region. One pixel more on each side, where there is one, gives the chroma upsampling the
// neighbours it has in the whole image. A crop of less than two chroma columns would be upsampled in another way.
void JpegDecoder::State::start(const Rect& region) {
  constexpr int narrowest = 8;  // columns: two of chroma at the strongest subsampling, a quarter
  info.out_color_space = info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  row_start = 0;
  const int whole = static_cast<int>(info.output_width);
  // jpeg_crop_scanline() cuts chroma short that a smaller DCT has made less coarse but not as fine as luma.
  const bool crops_wrong = info.scale_denom > 1 && info.max_h_samp_factor > 2;
  if (region.width == whole || crops_wrong) return;
  const int from = std::max(std::min(region.x - 1, whole - narrowest), 0);
  const int to = std::min(std::max(region.x + region.width + 1, from + narrowest), whole);
  auto left = static_cast<JDIMENSION>(from);
  auto width = static_cast<JDIMENSION>(to - from);
  jpeg_crop_scanline(&info, &left, &width);
  row_start = left;
}

void JpegDecoder::State::read_rows(const Rect& region, uint8_t* out) {
  const size_t stride = static_cast<size_t>(region.width) * 3;
  const auto first = static_cast<JDIMENSION>(region.y);
  const JDIMENSION end = first + static_cast<JDIMENSION>(region.height);
  const bool in_place = decodes_in_place(region);
  if (first > 1) jpeg_skip_scanlines(&info, first - 1);
  while (info.output_scanline < end) {
    const JDIMENSION y = info.output_scanline;
    uint8_t* const target = y < first ? nullptr : out + (y - first) * stride;
    uint8_t* scanline = in_place && target != nullptr && !goes_past_caches(target) ? target : row;
    jpeg_read_scanlines(&info, &scanline, 1);
    if (target == nullptr || scanline == target) continue;
    const size_t skipped = static_cast<size_t>(region.x) - row_start;
    if (info.out_color_space == JCS_CMYK) {
      rgb_from_cmyk(scanline + skipped * 4, region.width, target);
    } else {
      std::memcpy(target, scanline + skipped * 3, stride);
    }
  }
}

// Whether pixels may depend on more than the blocks around them: where coefficients are missing, libjpeg smooths
// progressive pictures, and a region's edges are smoothed in another way.
bool JpegDecoder::State::guesses() const {
  constexpr int smoothed_by = 10;  // the first coefficients
  if (errors.ended) return true;
  for (int c = 0; info.coef_bits != nullptr && c < info.num_components; ++c) {
    const int* const bits = info.coef_bits[c];
    if (std::any_of(bits, bits + smoothed_by, [](int missing) { return missing != 0; })) return true;
  }
  return false;
}

// Whether a component has AC coefficients, but no DC came before or after them.
bool JpegDecoder::State::lacks_scans() const {
  for (int c = 0; info.coef_bits != nullptr && c < info.num_components; ++c) {
    const int* const bits = info.coef_bits[c];
    if (bits[0] < 0 && std::any_of(bits + 1, bits + DCTSIZE2, [](int missing) { return missing >= 0; })) return true;
  }
  return false;
}

// Decodes the tiles that the region touches. False when there are none, or they are faulty: then decoding the whole
// file reports the fault.
bool JpegDecoder::State::decode_tiles(std::span<const uint8_t> bytes, const DecodeRequest& request, PixelBuffer& out) {
  if (request.region == nullptr || !tiles.cut(bytes, *request.region, request.max_pixels)) return false;
  const Rect& region = tiles.region();
  errors.keep_truncated = errors.ended = false;
  errors.padding = JpegTiles::padding;
  tables.take_away(info);
  const bool is_read = guarded(errors, [&] {
    libjpeg::read_from(info, errors, tiles.jpeg());
    jpeg_read_header(&info, TRUE);
  });
  bool ok = is_read && (info.num_components == 1 || info.num_components == 3 || info.num_components == 4);
  if (ok) {
    out.reshape(region.height, region.width, 3);
    reserve_row(info.image_width);
    ok = guarded(errors, [&] {
      start(region);
      read_rows(region, out.pixels.data());
    });
  }
  errors.padding = 0;
  jpeg_abort_decompress(&info);
  return ok;
}

bool JpegDecoder::State::decode(std::span<const uint8_t> bytes, const DecodeRequest& request, int shrink, PixelBuffer& out) {
  if (shrink == 1 && decode_tiles(bytes, request, out)) return false;
  // The handle is always ready for the next image afterwards.
  struct Abort {
    jpeg_decompress_struct& info;
    ~Abort() { jpeg_abort_decompress(&info); }
  };
  const auto attempt = [&](const Rect* wanted, PixelBuffer& target) {
    const Abort abort{info};
    errors.keep_truncated = request.keep_truncated;
    errors.ended = false;
    read_header(bytes, shrink);
    checked_region({.max_pixels = request.max_pixels}, ImageFormat::jpeg, info.image_width, info.image_height);
    const Rect region = checked_region({.region = wanted, .max_pixels = INT64_MAX}, ImageFormat::jpeg, info.output_width, info.output_height);
    target.reshape(region.height, region.width, 3);
    reserve_row(info.output_width);
    bool guessed = false, lacking = false;
    const bool ok = guarded(errors, [&] {
      start(region);
      read_rows(region, target.pixels.data());
      guessed = guesses(), lacking = !errors.ended && lacks_scans();
      // Reads on to the end marker, to notice when it is missing.
      if (wanted == nullptr) jpeg_finish_decompress(&info);
    });
    if (!ok) throw_error(errors, bytes.size());
    if (lacking) throw Error("broken JPEG of " + std::to_string(bytes.size()) + " bytes: a scan is missing");
    return !guessed;
  };
  if (request.region == nullptr) {
    attempt(nullptr, out);
  } else if (!attempt(request.region, out)) {
    // The second pass reads all data, and treats the picture as possibly incomplete.
    const bool ended = errors.ended;
    attempt(nullptr, whole);
    errors.ended = ended;
    copy_rect(whole, *request.region, out);
  }
  return errors.ended;
}

JpegDecoder::JpegDecoder(int64_t max_pixels) : state_(std::make_unique<State>(max_pixels)) {}
JpegDecoder::~JpegDecoder() = default;
JpegDecoder::JpegDecoder(JpegDecoder&&) noexcept = default;
JpegDecoder& JpegDecoder::operator=(JpegDecoder&&) noexcept = default;

void JpegDecoder::decode(std::span<const uint8_t> bytes, PixelBuffer& out) { decode(bytes, {.max_pixels = state_->max_pixels}, 1, out); }

void JpegDecoder::decode(std::span<const uint8_t> bytes, const Rect& region, PixelBuffer& out) {
  decode(bytes, {.region = &region, .max_pixels = state_->max_pixels}, 1, out);
}

bool JpegDecoder::decode(std::span<const uint8_t> bytes, const DecodeRequest& request, int shrink, PixelBuffer& out) {
  return state_->decode(bytes, request, shrink, out);
}

void encode_jpeg(const ImageView& image, int quality, std::vector<uint8_t>& out, ChromaSampling sampling) {
  if (image.channels != 1 && image.channels != 3) {
    throw Error("cannot encode " + std::to_string(image.channels) + " channels as JPEG: it takes 1 or 3");
  }
  if (quality < 1 || quality > 100) throw Error("JPEG quality " + std::to_string(quality) + " is not in 1 to 100");
  ErrorManager errors{};
  jpeg_compress_struct info{};
  set_up(errors);
  info.err = &errors.base;
  // libjpeg's own memory: a vector could throw inside its callbacks.
  struct Encoded {
    unsigned char* data = nullptr;
    unsigned long size = 0;
    ~Encoded() { std::free(data); }
  } encoded;
  const size_t stride = static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  const bool ok = guarded(errors, [&] {
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &encoded.data, &encoded.size);
    info.image_width = static_cast<JDIMENSION>(std::max(image.width, 0));
    info.image_height = static_cast<JDIMENSION>(std::max(image.height, 0));
    info.input_components = image.channels;
    info.in_color_space = image.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    if (image.channels == 3) {
      info.comp_info[0].h_samp_factor = sampling == ChromaSampling::s444 ? 1 : 2;
      info.comp_info[0].v_samp_factor = sampling == ChromaSampling::s420 ? 2 : 1;
    }
    jpeg_start_compress(&info, TRUE);
    while (info.next_scanline < info.image_height) {
      auto* scanline = const_cast<uint8_t*>(image.pixels + info.next_scanline * stride);
      jpeg_write_scanlines(&info, &scanline, 1);
    }
    jpeg_finish_compress(&info);
  });
  jpeg_destroy_compress(&info);
  if (!ok) throw Error(std::string("cannot encode a JPEG: ") + errors.message);
  out.assign(encoded.data, encoded.data + encoded.size);
}

}  // namespace flowrun::io
