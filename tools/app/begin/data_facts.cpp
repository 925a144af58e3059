#include "tools/app/begin/data_facts.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/contract/log.h"
#include "graph/contract/shown.h"
#include "graph/text/error.h"
#include "graph/text/json_text.h"
#include "io/codec/image_decoder.h"
#include "io/error.h"
#include "tools/app/load/load.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

using nlohmann::ordered_json;

constexpr double any_value = 1e30;
constexpr size_t pixels_counted = 4096;            // of a picture, spread over it
constexpr int64_t pixels_decoded = 1'000'000'000;  // after so many no further picture is looked at
constexpr uint64_t least_looked_at = 16;

/// The smallest pipeline that holds the source.
CheckedPipeline around(const ordered_json& source) {
  ordered_json pipeline = {{"nodes", {{"pictures", source}}}};
  pipeline["nodes"]["decode"] = {{"type", "image.decode"}, {"in", "pictures"}};
  pipeline["nodes"]["batch"] = {{"type", "batch.stack"}, {"in", {{"image", "decode"}, {"label", "pictures"}}}};
  pipeline["nodes"]["metrics"] = {{"type", "report.metrics"}, {"in", {{"image", "batch"}}}};
  Diagnostics faults;
  const Value value = load_pipeline(std::make_shared<Source>(Source{"the source of these data", json_text(pipeline, 2)}), {}, faults);
  CheckedPipeline checked;
  if (faults.empty()) checked = validate(value, faults);
  if (!faults.empty()) throw PipelineError(faults.render());
  return checked;
}

/// The files of an opened source.
class Files {
 public:
  explicit Files(CheckedNode& source) : source_(source) {
    for (const PortDoc& port : source.ports) {
      slots_.push_back({static_cast<int>(objects_.size()), false});
      objects_.push_back(port.type->make());
    }
  }
  ~Files() {
    for (size_t p = 0; p < objects_.size(); ++p) source_.ports[p].type->destroy(objects_[p]);
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  std::vector<uint8_t> read(uint64_t sample) {
    uint64_t unused = 0;
    source_.node->run(Call{objects_.data(), nullptr, slots_.data()}, SampleContext{0, source_.stream, 0, sample, sample, LedgerEntry(&unused)});
    for (size_t p = 0; p < objects_.size(); ++p) {
      if (source_.ports[p].type->show == nullptr) continue;
      Shown shown;
      source_.ports[p].type->show(objects_[p], shown, 0, 1);
      if (!shown.file.empty()) return std::move(shown.file);
    }
    return {};
  }

 private:
  CheckedNode& source_;
  std::vector<void*> objects_;
  std::vector<PortSlot> slots_;
};

/// Sums over pixels, by channel.
struct Sums {
  std::array<double, 3> sum{}, squares{};
  double pixels = 0;

  void add(const io::PixelBuffer& picture) {
    const size_t all = static_cast<size_t>(picture.height) * static_cast<size_t>(picture.width);
    const size_t stride = std::max<size_t>(1, all / pixels_counted);
    for (size_t i = 0; i < all; i += stride, pixels += 1) {
      for (size_t c = 0; c < 3; ++c) {
        const double value = picture.pixels[3 * i + c] / 255.0;
        sum[c] += value, squares[c] += value * value;
      }
    }
  }
};

bool has_colour(const io::PixelBuffer& picture) {
  for (size_t i = 0; i + 2 < picture.pixels.size(); i += 3) {
    if (picture.pixels[i] != picture.pixels[i + 1] || picture.pixels[i] != picture.pixels[i + 2]) return true;
  }
  return false;
}

void add_labels(const SourceData& data, DataFacts& out) {
  out.classes = data.classes;
  std::vector<uint64_t> counts(data.classes.size());
  for (const int label : data.labels) label < 0 ? ++out.unlabelled : ++counts[static_cast<size_t>(label)];
  if (!counts.empty()) out.smallest_class = *std::min_element(counts.begin(), counts.end());
}

/// Decodes pictures and adds what they show.
class Look {
 public:
  explicit Look(DataFacts& out) : out_(out) {}

  void at(uint64_t sample, const std::vector<uint8_t>& bytes) {
    const io::ImageInfo info = io::read_image_info(bytes);
    io::DecodeOptions options;
    options.range = io::SampleRange{-any_value, any_value};
    io::Decoded decoded = decoder_.decode(bytes, info, options, pixels_);
    if (decoded.deep) {  // once more, now that its values are known
      const auto [low, high] = *decoded.deep;
      out_.range = out_.deep == 0 ? std::pair(low, high) : std::pair(std::min(out_.range.first, low), std::max(out_.range.second, high));
      ++out_.deep;
      deep_.push_back(sample);
    } else {
      sums_.add(pixels_);
      coloured_ = coloured_ || has_colour(pixels_);
    }
    ++out_.formats[io::format_name(info.format)];
    if (info.orientation != 1) ++out_.turned;
    sides_.push_back(std::min(info.width, info.height));
    decoded_ += int64_t{info.width} * info.height;
    ++out_.read;
  }
  bool enough() const { return decoded_ >= pixels_decoded && out_.read >= least_looked_at; }

  void finish(Files& files) {
    io::DecodeOptions options;
    options.range = io::SampleRange{out_.range.first, out_.range.second};
    for (const uint64_t sample : deep_) {
      decoder_.decode(files.read(sample), options, pixels_);
      sums_.add(pixels_);
      coloured_ = coloured_ || has_colour(pixels_);
    }
    out_.gray = !coloured_;
    for (size_t c = 0; c < 3; ++c) {
      out_.mean[c] = sums_.sum[c] / sums_.pixels;
      out_.std[c] = std::sqrt(std::max(0.0, sums_.squares[c] / sums_.pixels - out_.mean[c] * out_.mean[c]));
    }
    std::sort(sides_.begin(), sides_.end());
    out_.short_side = sides_[sides_.size() / 2], out_.least_side = sides_.front(), out_.largest_side = sides_.back();
  }

 private:
  DataFacts& out_;
  io::ImageDecoder decoder_;
  io::PixelBuffer pixels_;
  Sums sums_;
  bool coloured_ = false;
  std::vector<int> sides_;
  std::vector<uint64_t> deep_;  // samples whose values need the range of all
  int64_t decoded_ = 0;
};

/// The i-th sample to look at: the first few are spread over all as evenly as all of them are.
uint64_t place(uint64_t i, uint64_t pictures, uint64_t count) {
  if (pictures <= count) return i;
  const double turn = static_cast<double>(i) * std::numbers::phi;
  return static_cast<uint64_t>((turn - std::floor(turn)) * static_cast<double>(pictures));
}

}  // namespace

std::string formats_text(const DataFacts& facts) {
  std::string out;
  for (const auto& [format, count] : facts.formats) out += (out.empty() ? "" : ", ") + format;
  return out;
}

std::string sides_text(const DataFacts& facts) {
  if (facts.least_side == facts.largest_side) return print("%d pixels", facts.short_side);
  return print("%d to %d pixels, median %d", facts.least_side, facts.largest_side, facts.short_side);
}

DataFacts look_at(const ordered_json& source, uint64_t count) {
  CheckedPipeline pipeline = around(source);
  CheckedNode& node = pipeline.nodes[static_cast<size_t>(pipeline.training_source)];
  DataFacts out;
  try {
    const Silence silence;
    node.node->open({RunInfo{}, node.name, node.stream});
  } catch (const std::exception& error) {
    throw PipelineError(std::string("error: ") + error.what());
  }
  const SourceData data = node.node->data();
  out.place = data.place.empty() ? source.value("path", "") : data.place;
  out.pictures = node.node->size(), out.remarks = data.remarks;
  if (out.pictures == 0) throw PipelineError("error: " + out.place + " holds no pictures");
  add_labels(data, out);
  Files files(node);
  Look look(out);
  for (uint64_t i = 0; i < std::min(out.pictures, count) && !look.enough(); ++i, ++out.looked_at) {
    const uint64_t sample = place(i, out.pictures, count);
    try {
      const std::vector<uint8_t> bytes = files.read(sample);
      out.file_bytes += static_cast<double>(bytes.size());
      look.at(sample, bytes);
    } catch (const std::exception& error) {
      out.broken.push_back(node.node->key(sample) + ": " + error.what());
    }
  }
  if (out.read == 0) throw PipelineError("error: none of " + std::to_string(out.looked_at) + " pictures can be read; " + out.broken[0]);
  out.file_bytes /= static_cast<double>(out.looked_at);
  look.finish(files);
  return out;
}

}  // namespace flowrun::app
