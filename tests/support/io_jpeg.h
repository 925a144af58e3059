#pragma once

#include <cstdio>
#include <cstdlib>
#include <jpeglib.h>
#include <vector>

#include "io/codec/image.h"

namespace flowrun::io::test {

// Kinds of JPEG that encode_jpeg does not make.
struct OddJpeg {
  int horizontal = 1;  // chroma sampling: luma has HORIZONTAL x VERTICAL samples for one of chroma
  int vertical = 1;
  bool progressive = false;
  int restart_rows = 0;
  bool direct_rgb = false;  // no conversion to YCbCr
  bool arithmetic = false;  // coding
};

// 3 channels are RGB; 4 are CMYK, stored as YCCK.
inline std::vector<uint8_t> encode_odd_jpeg(const PixelBuffer& image, const OddJpeg& kind) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_width = image.width;
  info.image_height = image.height;
  info.input_components = image.channels;
  info.in_color_space = image.channels == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  if (image.channels == 4) jpeg_set_colorspace(&info, JCS_YCCK);
  if (kind.direct_rgb) jpeg_set_colorspace(&info, JCS_RGB);
  info.comp_info[0].h_samp_factor = kind.horizontal;
  info.comp_info[0].v_samp_factor = kind.vertical;
  if (image.channels == 4) {
    info.comp_info[3].h_samp_factor = kind.horizontal;
    info.comp_info[3].v_samp_factor = kind.vertical;
  }
  info.arith_code = kind.arithmetic ? TRUE : FALSE;
  info.restart_in_rows = kind.restart_rows;
  if (kind.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<unsigned char*>(image.pixels.data()) + static_cast<size_t>(info.next_scanline) * image.width * image.channels;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::vector<uint8_t> bytes(data, data + size);
  std::free(data);
  jpeg_destroy_compress(&info);
  return bytes;
}

}  // namespace flowrun::io::test
