#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/codec/image.h"

// Tiled JPEGs: plain JPEGs with restart markers every few MCUs. The entropy-coded data between two of them can be decoded
// alone, so a region costs only its tiles, not all the rows above and beside it.

namespace flowrun::io {

// Makes, of a tiled JPEG, the smaller JPEG of the tiles that a region touches. Keeps its buffers: one object per thread.
class JpegTiles {
 public:
  // Whether tiles help: BYTES is one baseline or extended sequential scan, its restart interval divides the MCUs of a
  // row, all markers are where they should be, and some tile before the region's end is not touched. Then jpeg()
  // decodes, at region(), to the same pixels as the whole decode in REGION, in every bit: one pixel around it is
  // included, if there is one. Faults outside the touched tiles are not found. Never throws on what BYTES hold, nor on a
  // region outside the image or on more than MAX_PIXELS: for these it returns false, and the decoder reports the fault.
  bool cut(std::span<const uint8_t> bytes, const Rect& region, int64_t max_pixels);

  // It has `padding` bytes before each marker, which don't belong to the data; libjpeg warns of them.
  std::span<const uint8_t> jpeg() const { return {out_.data(), size_}; }
  static constexpr int padding = 8;
  const Rect& region() const { return region_; }

 private:
  struct Grid;
  bool find_tiles(std::span<const uint8_t> bytes, size_t begin, size_t count);
  void assemble(std::span<const uint8_t> bytes, const Grid& grid, const Rect& tiles);

  std::vector<uint32_t> starts_;  // of each tile's data; one more entry: where the last one ends, with its marker
  std::vector<uint8_t> out_;      // never shrinks
  size_t size_ = 0;
  Rect region_;
};

// Restart intervals as a share of a row: a row has about this many tiles, always a divisor of its MCUs.
struct TileOptions {
  int tiles_per_row = 16;  // 0: every MCU is a tile
};

// The same picture with restart markers: coefficients copied, Huffman tables optimised, progressive scans made
// sequential, application and comment segments kept. Any program reads it and finds the same pixels: both are decoded and
// compared. Throws Error on what is not a JPEG or is broken, also in its data.
std::vector<uint8_t> tile_jpeg(std::span<const uint8_t> bytes, const TileOptions& options = {});

}  // namespace flowrun::io
