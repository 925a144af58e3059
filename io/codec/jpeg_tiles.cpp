#include "io/codec/jpeg_tiles.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "io/codec/image_format.h"
#include "io/codec/jpeg.h"
#include "io/codec/libjpeg.h"

namespace flowrun::io {

namespace {

constexpr uint8_t marker_prefix = 0xff;
enum Marker : uint8_t { sof0 = 0xc0, sof1 = 0xc1, rst0 = 0xd0, rst7 = 0xd7, eoi = 0xd9, sos = 0xda, dri = 0xdd };

// The header's values for the only scan.
struct Layout {
  int width = 0, height = 0;
  size_t size_at = 0;  // of the frame header's height, which its width follows
  int mcu_width = 0, mcu_height = 0;
  int components = 0;
  int interval = 0;    // MCUs between restart markers
  size_t data_at = 0;  // of the entropy-coded data
};

int read_u16(const uint8_t* at) { return at[0] << 8 | at[1]; }

bool read_frame(std::span<const uint8_t> body, size_t at, Layout& layout) {
  if (body.size() < 6 || body[0] != 8) return false;
  layout.size_at = at + 1;
  layout.height = read_u16(&body[1]), layout.width = read_u16(&body[3]);
  layout.components = body[5];
  if (layout.components < 1 || body.size() < 6 + static_cast<size_t>(layout.components) * 3) return false;
  int across = 1, down = 1;
  for (int i = 0; i < layout.components; ++i) {
    const int sampling = body[6 + static_cast<size_t>(i) * 3 + 1];
    across = std::max(across, sampling >> 4), down = std::max(down, sampling & 15);
  }
  // The blocks of a scan of one component are not interleaved, whatever its sampling factors.
  const bool is_interleaved = layout.components > 1;
  layout.mcu_width = is_interleaved ? 8 * across : 8, layout.mcu_height = is_interleaved ? 8 * down : 8;
  return layout.height > 0 && layout.width > 0;
}

// Another kind of frame (progressive, lossless, arithmetic coding), or a marker that has no place in a header.
bool is_out_of_place(uint8_t marker) {
  constexpr uint8_t huffman_tables = 0xc4;
  return (marker > sof1 && marker < rst0 && marker != huffman_tables) || marker < sof0 || (marker >= rst0 && marker <= eoi);
}

// Nothing when the header is not that of a sequential JPEG in one scan with restart markers.
std::optional<Layout> read_layout(std::span<const uint8_t> bytes) {
  Layout layout;
  size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (bytes[at] != marker_prefix) return {};
    const uint8_t marker = bytes[at + 1];
    if (marker == marker_prefix) {  // fill bytes
      ++at;
      continue;
    }
    const size_t length = static_cast<size_t>(read_u16(&bytes[at + 2]));
    if (length < 2 || at + 2 + length > bytes.size()) return {};
    const std::span<const uint8_t> body = bytes.subspan(at + 4, length - 2);
    if (marker == sof0 || marker == sof1) {
      if (layout.components > 0 || !read_frame(body, at + 4, layout)) return {};
    } else if (marker == dri) {
      if (body.size() != 2) return {};
      layout.interval = read_u16(body.data());
    } else if (marker == sos) {
      layout.data_at = at + 2 + length;
      const bool is_whole = !body.empty() && body[0] == layout.components && layout.components > 0;
      return is_whole && layout.interval > 0 ? std::optional(layout) : std::nullopt;
    } else if (is_out_of_place(marker)) {
      return {};
    }
    at += 2 + length;
  }
  return {};
}

// The next byte of 255 that no 0 follows, which makes it a marker; END when there is none. One byte behind END is not read.
const uint8_t* find_marker(const uint8_t* at, const uint8_t* end) {
#if defined(__SSE2__)
  const __m128i prefix = _mm_set1_epi8(-1), stuffing = _mm_setzero_si128();
  for (; end - at > 16; at += 16) {
    const __m128i is_prefix = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), prefix);
    const __m128i is_stuffed = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1)), stuffing);
    const int found = _mm_movemask_epi8(_mm_andnot_si128(is_stuffed, is_prefix));
    if (found != 0) return at + __builtin_ctz(static_cast<unsigned>(found));
  }
#endif
  for (; end - at > 1; ++at) {
    if (at[0] == marker_prefix && at[1] != 0) return at;
  }
  return end;
}

bool is_inside(const Rect& region, const Layout& layout) {
  return region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0 && region.width <= layout.width - region.x &&
         region.height <= layout.height - region.y;
}

}  // namespace

// Tiles of an image: all of one row of MCUs high and `interval` MCUs wide, but for what the image's edges cut off.
struct JpegTiles::Grid {
  Layout layout;
  int tile_width = 0, columns = 0, rows = 0;

  explicit Grid(const Layout& layout) : layout(layout) {
    const int mcus = (layout.width + layout.mcu_width - 1) / layout.mcu_width;
    if (mcus % layout.interval != 0) return;
    tile_width = layout.interval * layout.mcu_width;
    columns = mcus / layout.interval;
    rows = (layout.height + layout.mcu_height - 1) / layout.mcu_height;
  }

  // The tiles that a region touches, with a pixel around it.
  Rect touched(const Rect& region) const {
    constexpr int narrowest = 16;  // pixels: libjpeg smooths chroma only where there are more than two of its columns
    int left = std::max(region.x - 1, 0) / tile_width;
    const int right = std::min(region.x + region.width, layout.width - 1) / tile_width;
    const int top = std::max(region.y - 1, 0) / layout.mcu_height;
    const int bottom = std::min(region.y + region.height, layout.height - 1) / layout.mcu_height;
    while (left > 0 && width_of(left, right) < narrowest) --left;
    return {left, top, right - left + 1, bottom - top + 1};
  }

  int width_of(int left, int right) const { return std::min((right + 1) * tile_width, layout.width) - left * tile_width; }
};

bool JpegTiles::cut(std::span<const uint8_t> bytes, const Rect& region, int64_t max_pixels) {
  const std::optional<Layout> layout = read_layout(bytes);
  if (!layout || static_cast<int64_t>(layout->width) * layout->height > max_pixels || !is_inside(region, *layout)) return false;
  const Grid grid(*layout);
  if (grid.columns == 0 || bytes.size() > UINT32_MAX) return false;
  const Rect tiles = grid.touched(region);
  if (tiles.y == 0 && tiles.width == grid.columns) return false;  // a decoder that stops early reads no more than that
  const size_t count = static_cast<size_t>(tiles.y + tiles.height) * static_cast<size_t>(grid.columns);
  if (!find_tiles(bytes, layout->data_at, count)) return false;
  assemble(bytes, grid, tiles);
  region_ = {region.x - tiles.x * grid.tile_width, region.y - tiles.y * layout->mcu_height, region.width, region.height};
  return true;
}

// Fills starts_ for the first COUNT tiles; false where a marker is not what it should be.
bool JpegTiles::find_tiles(std::span<const uint8_t> bytes, size_t begin, size_t count) {
  if (starts_.size() <= count) starts_.resize(count + 1);
  starts_[0] = static_cast<uint32_t>(begin);
  const uint8_t* at = bytes.data() + begin;
  const uint8_t* const end = bytes.data() + bytes.size();
  for (size_t tile = 1; tile <= count; ++tile) {
    at = find_marker(at, end);
    if (at == end) return false;
    const bool is_next = at[1] == rst0 + (tile - 1) % 8;
    if (!is_next && !(at[1] == eoi && tile == count)) return false;
    at += 2;
    starts_[tile] = static_cast<uint32_t>(at - bytes.data());
  }
  return true;
}

// libjpeg looks some bytes ahead, and where it sees a marker there, it decodes the MCU once more in a slower way; it does
// the same near the end of the file. So there are zeros before the markers, and after the end.
void JpegTiles::assemble(std::span<const uint8_t> bytes, const Grid& grid, const Rect& tiles) {
  constexpr size_t behind = 8 * 64 * 10;  // for an MCU of ten blocks, the largest there is
  const Layout& layout = grid.layout;
  const auto columns = static_cast<size_t>(grid.columns), first = static_cast<size_t>(tiles.x), width = static_cast<size_t>(tiles.width);
  const auto row_starts = [&](int y) { return starts_.data() + static_cast<size_t>(tiles.y + y) * columns + first; };
  size_t size = layout.data_at + behind;
  for (int y = 0; y < tiles.height; ++y) size += row_starts(y)[width] - row_starts(y)[0] + width * padding;
  if (out_.size() < size) out_.resize(size);
  size_ = size;
  std::memcpy(out_.data(), bytes.data(), layout.data_at);
  const int pixels_wide = grid.width_of(tiles.x, tiles.x + tiles.width - 1);
  const int pixels_high = std::min((tiles.y + tiles.height) * layout.mcu_height, layout.height) - tiles.y * layout.mcu_height;
  uint8_t* const pixels = out_.data() + layout.size_at;
  pixels[0] = static_cast<uint8_t>(pixels_high >> 8), pixels[1] = static_cast<uint8_t>(pixels_high & 255);
  pixels[2] = static_cast<uint8_t>(pixels_wide >> 8), pixels[3] = static_cast<uint8_t>(pixels_wide & 255);
  uint8_t* to = out_.data() + layout.data_at;
  int number = 0;
  for (int y = 0; y < tiles.height; ++y) {
    const uint32_t* const row = row_starts(y);
    for (size_t x = 0; x < width; ++x) {
      const size_t length = row[x + 1] - row[x] - 2;
      std::memcpy(to, bytes.data() + row[x], length);
      std::memset(to + length, 0, padding);
      to += length + padding;
      *to++ = marker_prefix, *to++ = static_cast<uint8_t>(rst0 + number);
      number = (number + 1) % 8;
    }
  }
  to[-1] = eoi;
  std::memset(to, 0, behind);
}

namespace {

using libjpeg::ErrorManager;
using libjpeg::guarded;

constexpr unsigned longest_marker = 0xffff;

// The divisor of a row's MCUs that gives about as many tiles as wanted, by ratio.
unsigned choose_interval(unsigned mcus, int tiles) {
  if (tiles <= 0) return 1;
  const auto distance = [&](unsigned interval) {
    const double have = static_cast<double>(mcus) / interval;
    return have > tiles ? have / tiles : tiles / have;
  };
  unsigned best = 1;
  for (unsigned interval = 2; interval <= mcus; ++interval) {
    if (mcus % interval == 0 && distance(interval) < distance(best)) best = interval;
  }
  return best;
}

// libjpeg's own header comes from the parameters: a second one is left out.
bool is_written_anyway(const jpeg_compress_struct& to, const jpeg_marker_struct& marker) {
  const auto starts = [&](const char(&text)[6]) { return marker.data_length >= 5 && std::memcmp(marker.data, text, 5) == 0; };
  return (to.write_JFIF_header && marker.marker == JPEG_APP0 && starts({'J', 'F', 'I', 'F'})) ||
         (to.write_Adobe_marker && marker.marker == JPEG_APP0 + 14 && starts("Adobe"));
}

struct Transcoder {
  ErrorManager errors{};
  jpeg_decompress_struct from{};
  jpeg_compress_struct to{};
  jpeg_progress_mgr progress{};
  unsigned char* data = nullptr;
  unsigned long size = 0;

  Transcoder() {
    libjpeg::set_up(errors);
    from.err = to.err = &errors.base;
  }
  ~Transcoder() {
    jpeg_destroy_compress(&to);
    jpeg_destroy_decompress(&from);
    std::free(data);
  }
  Transcoder(const Transcoder&) = delete;
  Transcoder& operator=(const Transcoder&) = delete;

  void run(std::span<const uint8_t> bytes, int tiles_per_row);
};

void Transcoder::run(std::span<const uint8_t> bytes, int tiles_per_row) {
  jpeg_create_decompress(&from);
  libjpeg::limit_scans(from, progress);
  jpeg_create_compress(&to);
  libjpeg::read_from(from, errors, bytes);
  for (int i = 0; i < 16; ++i) jpeg_save_markers(&from, JPEG_APP0 + i, longest_marker);
  jpeg_save_markers(&from, JPEG_COM, longest_marker);
  jpeg_read_header(&from, TRUE);
  jvirt_barray_ptr* const coefficients = jpeg_read_coefficients(&from);
  jpeg_copy_critical_parameters(&from, &to);
  to.optimize_coding = TRUE;
  to.write_JFIF_header = from.saw_JFIF_marker;
  const auto mcu = static_cast<unsigned>(from.num_components > 1 ? 8 * from.max_h_samp_factor : 8);
  to.restart_interval = choose_interval((from.image_width + mcu - 1) / mcu, tiles_per_row);
  jpeg_mem_dest(&to, &data, &size);
  jpeg_write_coefficients(&to, coefficients);
  for (const jpeg_marker_struct* marker = from.marker_list; marker != nullptr; marker = marker->next) {
    if (!is_written_anyway(to, *marker)) jpeg_write_marker(&to, marker->marker, marker->data, marker->data_length);
  }
  jpeg_finish_compress(&to);
  jpeg_finish_decompress(&from);
}

}  // namespace

std::vector<uint8_t> tile_jpeg(std::span<const uint8_t> bytes, const TileOptions& options) {
  if (read_image_info(bytes).format != ImageFormat::jpeg) throw Error("only a JPEG can be tiled: " + describe_content(bytes));
  Transcoder transcoder;
  if (!guarded(transcoder.errors, [&] { transcoder.run(bytes, options.tiles_per_row); })) libjpeg::throw_error(transcoder.errors, bytes.size());
  std::vector<uint8_t> tiled(transcoder.data, transcoder.data + transcoder.size);
  // Damaged data can decode to coefficients that can't be encoded.
  JpegDecoder decoder;
  PixelBuffer before, after;
  decoder.decode(bytes, before);
  decoder.decode(tiled, after);
  if (before.width != after.width || before.height != after.height || before.pixels != after.pixels) {
    throw Error("a JPEG of " + std::to_string(bytes.size()) + " bytes whose data are damaged: with tiles it would have other pixels");
  }
  return tiled;
}

}  // namespace flowrun::io
