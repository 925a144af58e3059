// Shared by image.decode, image.jpeg_decode and image.nvjpeg_decode.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/contract/planned.h"
#include "graph/node.h"
#include "io/codec/image_decoder.h"
#include "nodes/lib/host/types/host_types.h"

namespace flowrun::image {

/// A warning that a node gives once, on one rank only: a picture has 16 bits a sample, and the upper 8 are taken.
class DeepRemark {
 public:
  explicit DeepRemark(const OpenContext& context) : node_(context.name), ranks_(context.run.ranks) {}
  void say(const io::ImageInfo& info, const io::SampleRange& values);

 private:
  std::string node_;  // its name
  Ranks* ranks_;
  std::atomic<bool> said_ = false;
};

struct DecodeRules {
  bool jpeg_only = false;
  bool oriented = false;                    // turned as EXIF says
  std::string on_truncated = "substitute";  // "error", "substitute", "keep_decoded"
  int64_t least_side = 0;                   // above 0: DCT scaling, down to this
  int64_t max_megapixels = 178;
  std::optional<io::SampleRange> range;   // of samples with more than 8 bits
  DeepRemark* remark = nullptr;           // given once, if there is no range
  const io::JpegBackend* jpeg = nullptr;  // decodes what it can in place of libjpeg
};

/// Rules of decoders for all formats.
struct DecodePorts {
  In<Bytes> bytes{"bytes", "A JPEG, PNG, WebP, GIF or TIFF file."};
  In<Region> region{"region", "What to decode; without it, everything.", optional};
  Out<Image> image{"image", "H W 3 u8."};
  void describe(auto& port) { port(bytes, region, image); }
};

/// One view, of a size that only the files tell.
inline void plan_decoding(NodePlan& plan) { plan.out["image"].views = 1; }

inline const Choices& orientations() {
  static const Choices choices = {"stored", "exif"};
  return choices;
}
inline const Choices& truncated_policies() {
  static const Choices choices = {"substitute", "error", "keep_decoded"};
  return choices;
}
inline const Choices& corrupt_policies() {
  static const Choices choices = {"substitute", "blank"};
  return choices;
}

/// The parameter "range" of such nodes: nothing, or two numbers, the smaller first.
inline constexpr const char* range_doc =
    "For pictures with more than 8 bits a sample (PNG, TIFF): the two values that become 0 and 255, the smaller first. Values between them are "
    "mapped linearly and rounded; values outside are clipped. Without it the upper 8 of 16 bits are taken, with a warning, and signed, 32-bit and "
    "floating-point samples are an error.";
std::optional<ParamFault> check_range(const std::vector<double>& range);
std::optional<io::SampleRange> range_of(const std::vector<double>& range);

/// Decodes `file`, or the region of it, into `out`. Throws NodeError, FatalNodeError where the rules want it, and
/// io::Error; reports to the context a picture that was kept although it ends too early. Any thread.
void decode(const Bytes& file, const Region* region, const DecodeRules& rules, const SampleContext& context, Image& out);

/// A black picture in the place of a file that can't be decoded: of the region's size, or of the file's where its header can be read and
/// it has at most a megapixel, else of one pixel. Any thread.
void decode_blank(const Bytes& file, const Region* region, bool oriented, Image& out);

}  // namespace flowrun::image
