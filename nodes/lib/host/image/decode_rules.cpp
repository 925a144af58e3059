#include "nodes/lib/host/image/decode_rules.h"

#include <algorithm>
#include <cstdio>

#include "graph/contract/current_sample.h"
#include "graph/contract/ranks.h"
#include "graph/text/error.h"
#include "io/error.h"

namespace flowrun::image {
namespace {

void check(const io::ImageInfo& info, const DecodeRules& rules) {
  if (rules.jpeg_only && info.format != io::ImageFormat::jpeg) {
    throw NodeError(std::string("not a JPEG but a ") + io::format_name(info.format) + " image; image.decode reads JPEG, PNG, WebP, GIF and TIFF");
  }
  if (static_cast<int64_t>(info.width) * info.height > rules.max_megapixels * 1'000'000) {
    throw NodeError("the picture is " + std::to_string(info.width) + "x" + std::to_string(info.height) +
                    ", more than max_megapixels = " + std::to_string(rules.max_megapixels));
  }
}

/// With several regions the smallest must keep `least` pixels a side; the decoder only knows the rectangle around them.
int64_t least_around(const Region& region, int64_t least) {
  if (region.views.empty()) return least;
  const int around = std::min(region.rect.width, region.rect.height);
  int smallest = around;
  for (const io::Rect& rect : region.views) smallest = std::min({smallest, rect.width, rect.height});
  return (least * around + smallest - 1) / smallest;
}

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace

void DeepRemark::say(const io::ImageInfo& info, const io::SampleRange& values) {
  if (said_.exchange(true) || (ranks_ != nullptr && !ranks_->first_to(node_ + " met 16 bits"))) return;
  const std::string low = number(values.low), high = number(values.high);
  std::string text = node_ + ": " + current_sample() + " is a " + io::format_name(info.format) + " of 16 bits a sample, here from " + low + " to " +
                     high + " of 65535, and the upper 8 bits are taken";
  if (values.low < values.high) text += "; \"range\": [" + low + ", " + high + "] would make its values 0 to 255,";
  text += " \"range\": [0, 65535] is for pictures that use them all (said once, for the first such picture)";
  log_warning(text);
}

std::optional<ParamFault> check_range(const std::vector<double>& range) {
  if (range.empty() || (range.size() == 2 && range[0] < range[1])) return {};
  return ParamFault{"range", "range must be two numbers, the smaller first"};
}

std::optional<io::SampleRange> range_of(const std::vector<double>& range) {
  if (range.empty()) return {};
  return io::SampleRange{range[0], range[1]};
}

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
                              .jpeg = rules.jpeg,
                              .range = rules.range};
    if (region != nullptr) options.region = region->rect, options.least_side = static_cast<int>(least_around(*region, rules.least_side));
    const io::Decoded decoded = decoder.decode(file.data, info, options, out.pixels);
    out.covers = {decoded.covers, rules.oriented};
    if (decoded.deep && !rules.range && rules.remark != nullptr) rules.remark->say(info, *decoded.deep);
    if (decoded.truncated) {
      context.kept(std::string("truncated ") + io::format_name(info.format) + " of " + std::to_string(file.data.size()) +
                   " bytes: what could be decoded was kept");
    }
  } catch (const io::TruncatedError& error) {
    if (rules.on_truncated != "error") throw;
    throw FatalNodeError(std::string(error.what()) + "; repair or delete the file, or set on_truncated to substitute or keep_decoded");
  }
}

void decode_blank(const Bytes& file, const Region* region, bool oriented, Image& out) {
  constexpr int64_t most_pixels = 1'000'000;
  io::Rect all{0, 0, 1, 1};
  try {
    const io::ImageInfo info = io::read_image_info(file.data);
    if (static_cast<int64_t>(info.width) * info.height <= most_pixels) all.width = info.width, all.height = info.height;
  } catch (const std::exception&) {
    // One pixel.
  }
  if (region != nullptr) all = region->rect;
  out.pixels.reshape(all.height, all.width, 3);
  std::fill(out.pixels.pixels.begin(), out.pixels.pixels.end(), uint8_t{0});
  out.covers = {all, oriented, {}};
}

}  // namespace flowrun::image
