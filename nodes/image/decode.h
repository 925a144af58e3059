// What image.decode, image.jpeg_decode and image.nvjpeg_decode share.
#pragma once

#include <string>

#include "graph/node.h"
#include "io/image_decoder.h"
#include "nodes/host.h"

namespace flowrun::image {

struct DecodeRules {
  bool jpeg_only = false;
  bool oriented = false;                    // turned as EXIF says
  std::string on_truncated = "substitute";  // "error", "substitute", "keep_decoded"
  int64_t least_side = 0;                   // above 0: DCT scaling, down to this
  int64_t max_megapixels = 178;
  const io::JpegBackend* jpeg = nullptr;  // decodes what it can in place of libjpeg
};

/// Of decoders that take files of all formats.
struct DecodePorts {
  In<Bytes> bytes{"bytes", "A JPEG, PNG or WebP file."};
  In<Region> region{"region", "What to decode; without it, everything.", optional};
  Out<Image> image{"image", "H W 3 u8."};
  void describe(auto& port) { port(bytes, region, image); }
};

inline const Choices& orientations() {
  static const Choices choices = {"stored", "exif"};
  return choices;
}
inline const Choices& truncated_policies() {
  static const Choices choices = {"substitute", "error", "keep_decoded"};
  return choices;
}

/// Decodes `file`, or the region of it, into `out`. Throws NodeError, FatalNodeError where the rules want it, and
/// io::Error; tells the context of a picture that was kept although it ends too early. Any thread.
void decode(const Bytes& file, const Region* region, const DecodeRules& rules, const SampleContext& context, Image& out);

}  // namespace flowrun::image
