#include <algorithm>

#include "graph/error.h"
#include "io/error.h"
#include "nodes/image/decode.h"

namespace flowrun::image {
namespace {

void check(const io::ImageInfo& info, const DecodeRules& rules) {
  if (rules.jpeg_only && info.format != io::ImageFormat::jpeg) {
    throw NodeError(std::string("not a JPEG but a ") + io::format_name(info.format) + " image; image.decode reads JPEG, PNG and WebP");
  }
  if (static_cast<int64_t>(info.width) * info.height > rules.max_megapixels * 1'000'000) {
    throw NodeError("the picture is " + std::to_string(info.width) + "x" + std::to_string(info.height) +
                    ", more than max_megapixels = " + std::to_string(rules.max_megapixels));
  }
}

/// Of several regions the smallest must keep `least` pixels a side; the decoder looks at the rectangle around them.
int64_t least_around(const Region& region, int64_t least) {
  if (region.views.empty()) return least;
  const int around = std::min(region.rect.width, region.rect.height);
  int smallest = around;
  for (const io::Rect& rect : region.views) smallest = std::min({smallest, rect.width, rect.height});
  return (least * around + smallest - 1) / smallest;
}

}  // namespace

void decode(const Bytes& file, const Region* region, const DecodeRules& rules, const SampleContext& context, Image& out) {
  thread_local io::ImageDecoder decoder;  // keeps its handles and buffers
  if (region != nullptr && region->oriented != rules.oriented) {
    throw NodeError(std::string("the region is one of the picture ") + (region->oriented ? "as EXIF turns it" : "as it is stored") +
                    ", but this node decodes it " + (rules.oriented ? "as EXIF turns it" : "as it is stored") +
                    ": give the node that chose the region and this one the same \"orientation\"");
  }
  try {
    const io::ImageInfo info = io::read_image_info(file.data);
    check(info, rules);
    io::DecodeOptions options{.apply_orientation = rules.oriented,
                              .keep_truncated = rules.on_truncated == "keep_decoded",
                              .least_side = static_cast<int>(rules.least_side),
                              .max_pixels = INT64_MAX,
                              .jpeg = rules.jpeg};
    if (region != nullptr) options.region = region->rect, options.least_side = static_cast<int>(least_around(*region, rules.least_side));
    const io::Decoded decoded = decoder.decode(file.data, info, options, out.pixels);
    out.covers = {decoded.covers, rules.oriented};
    if (decoded.truncated) {
      context.kept(std::string("truncated ") + io::format_name(info.format) + " of " + std::to_string(file.data.size()) +
                   " bytes: what could be decoded was kept");
    }
  } catch (const io::TruncatedError& error) {
    if (rules.on_truncated != "error") throw;
    throw FatalNodeError(std::string(error.what()) + "; mend or remove the file, or set on_truncated to substitute or keep_decoded");
  }
}

}  // namespace flowrun::image
