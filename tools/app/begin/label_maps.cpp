#include "tools/app/begin/label_maps.h"

#include <algorithm>
#include <filesystem>

#include "io/codec/image_decoder.h"
#include "io/error.h"
#include "io/file.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> picture_names = {"images", "image", "imgs", "img", "JPEGImages"};
const std::vector<std::string> map_names = {"labels", "label", "masks", "mask", "annotations", "gt", "SegmentationClass"};
constexpr size_t maps_read = 16;

std::string inside(const std::string& folder, const std::vector<std::string>& names) {
  std::error_code ignored;
  for (const std::string& name : names) {
    if (const fs::path path = fs::path(folder) / name; fs::is_directory(path, ignored)) return path.string();
  }
  return "";
}

/// The label map of each picture; the first picture without one ends the search.
std::vector<fs::path> maps_of(const LabelMaps& maps, std::string& without) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(maps.images)) {
    if (!entry.is_regular_file() || !io::is_image_name(entry.path().string())) continue;
    const fs::path map = (fs::path(maps.labels) / entry.path().lexically_relative(maps.images)).replace_extension(".png");
    if (!fs::exists(map)) return without = entry.path().string(), out;
    out.push_back(map);
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Looks at maps spread over all. Empty: they hold classes; else why not.
std::string fault_of(const std::vector<fs::path>& files, bool& is_mask) {
  io::ImageDecoder decoder;
  io::PixelBuffer pixels;
  std::vector<uint8_t> bytes;
  is_mask = true;
  for (size_t i = 0; i < std::min(files.size(), maps_read); ++i) {
    const fs::path& file = files[i * files.size() / std::min(files.size(), maps_read)];
    io::read_file(file, bytes);
    const io::ImageInfo info = io::read_image_info(bytes);
    if (info.channels > 2) return file.string() + " holds colours; image.png_labels reads them by a table (colors)";
    decoder.decode(bytes, info, {}, pixels);
    is_mask = is_mask && std::all_of(pixels.pixels.begin(), pixels.pixels.end(), [](uint8_t value) { return value == 0 || value == 255; });
  }
  return "";
}

}  // namespace

std::optional<LabelMaps> find_label_maps(const std::string& folder, std::vector<std::string>& remarks) {
  LabelMaps out{inside(folder, picture_names), inside(folder, map_names)};
  if (out.images.empty() || out.labels.empty()) return {};
  try {
    std::string without;
    const std::vector<fs::path> files = maps_of(out, without);
    std::string fault = !without.empty() ? without + " has none in " + out.labels : files.empty() ? "there is no picture in " + out.images : "";
    if (fault.empty()) fault = fault_of(files, out.is_mask);
    out.usable = fault.empty();
    if (!fault.empty()) remarks.push_back("the label maps are not used: " + fault);
  } catch (const io::Error& error) {
    remarks.push_back(std::string("the label maps are not used: ") + error.what());
  }
  return out;
}

}  // namespace flowrun::app
