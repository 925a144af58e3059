// What image.decode and image.jpeg_decode share.
#pragma once

#include <string>

#include "graph/context.h"
#include "nodes/host.h"

namespace flowrun::image {

struct DecodeRules {
  bool jpeg_only = false;
  bool oriented = false;                    // turned as EXIF says
  std::string on_truncated = "substitute";  // "error", "substitute", "keep_decoded"
  int64_t least_side = 0;                   // above 0: DCT scaling, down to this
  int64_t max_megapixels = 178;
};

/// Decodes `file`, or the region of it, into `out`. Throws NodeError, FatalNodeError where the rules want it, and
/// io::Error; tells the context of a picture that was kept although it ends too early. Any thread.
void decode(const Bytes& file, const Region* region, const DecodeRules& rules, const SampleContext& context, Image& out);

}  // namespace flowrun::image
