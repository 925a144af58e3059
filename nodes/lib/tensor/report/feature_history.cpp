#include "nodes/lib/tensor/report/feature_history.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "graph/text/error.h"
#include "io/resize/resize.h"
#include "io/run/safetensors.h"
#include "nodes/lib/tensor/report/sheet.h"
#include "nodes/lib/tensor/tensor.h"

namespace flowrun {
namespace {

namespace fs = std::filesystem;

constexpr const char* ending = ".safetensors";

std::string prefix_of(const std::string& picture) {
  const std::string stem = picture.substr(0, picture.rfind('.'));
  return stem == "features" ? "step-" : stem + "-step-";
}

/// Of "PREFIXstep-N.safetensors".
std::optional<int64_t> step_in(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || !name.ends_with(ending)) return {};
  name.remove_prefix(prefix.size()), name.remove_suffix(std::strlen(ending));
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() && step >= 0 ? std::optional(step) : std::nullopt;
}

/// Pastes a picture, enlarged to squares or shrunk.
void paste(io::PixelBuffer& canvas, const io::ImageView& picture, int top, int left, int height, int width) {
  io::PixelBuffer tile;
  io::ImageView from = picture;
  if (picture.height > height || picture.width > width) {
    tile.reshape(height, width, picture.channels);
    io::Resizer().resize(picture, height, width, io::Filter::bilinear, false, tile.pixels.data());
    from = tile.view();
  }
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const size_t source =
          static_cast<size_t>(y * from.height / height) * static_cast<size_t>(from.width) + static_cast<size_t>(x * from.width / width);
      std::copy_n(from.pixels + 3 * source, 3,
                  canvas.pixels.data() + 3 * (static_cast<size_t>(top + y) * static_cast<size_t>(canvas.width) + static_cast<size_t>(left + x)));
    }
  }
}

}  // namespace

fs::path feature_path(const fs::path& run, const std::string& picture, int64_t step) {
  return run / "features" / (prefix_of(picture) + std::to_string(step) + ending);
}

std::vector<FeatureFile> feature_files(const fs::path& run, const std::string& picture) {
  std::vector<FeatureFile> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(run / "features", ignored)) {
    if (const auto step = step_in(entry.path().filename().string(), prefix_of(picture))) out.push_back({*step, entry.path()});
  }
  std::sort(out.begin(), out.end(), [](const FeatureFile& a, const FeatureFile& b) { return a.step < b.step; });
  return out;
}

std::vector<FeatureFile> spread(const std::vector<FeatureFile>& files, int64_t most) {
  const auto count = static_cast<int64_t>(files.size());
  if (count <= most) return files;
  if (most == 1) return {files.back()};
  std::vector<FeatureFile> out;
  for (int64_t i = 0; i < most; ++i) out.push_back(files[static_cast<size_t>(i * (count - 1) / (most - 1))]);
  return out;
}

void remove_features_after(const fs::path& run, int64_t step) {
  std::error_code ignored;
  std::vector<fs::path> undone;
  for (const auto& entry : fs::directory_iterator(run / "features", ignored)) {
    const std::string name = entry.path().filename().string();
    const size_t at = name.rfind("step-");
    if (at == std::string::npos) continue;
    if (const auto found = step_in(name, name.substr(0, at + 5)); found && *found > step) undone.push_back(entry.path());
  }
  for (const fs::path& path : undone) fs::remove(path, ignored);
}

void write_features(const fs::path& run, const std::string& picture, const std::string& node, const FeatureStep& step) {
  const fs::path path = feature_path(run, picture, step.step);
  std::error_code ignored;
  fs::create_directories(path.parent_path(), ignored);  // what follows names the fault
  if (fs::exists(path, ignored)) {
    const io::SafetensorsFile there(path);
    const auto other = there.metadata().find("node");
    if (other != there.metadata().end() && other->second != node)
      throw NodeError(path.string() + " is of the node " + other->second + ": give one of the two another \"file\"");
  }
  const Tensor values =
      at::from_blob(const_cast<float*>(step.values_nND.data()), {step.pictures, step.patches, step.width}, at::kFloat).to(at::kHalf);
  const io::TensorEntry entry{"patches", "F16", values.sizes().vec(), {static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()}};
  io::write_safetensors(path, std::span(&entry, 1), {{"node", node}, {"step", std::to_string(step.step)}});
}

FeatureStep read_features(const FeatureFile& file) {
  const io::SafetensorsFile mapped(file.path);
  const io::TensorEntry& entry = mapped.at("patches");
  if (entry.dtype != "F16" || entry.shape.size() != 3) throw NodeError(file.path.string() + " is no file of report.features: remove it");
  const Tensor half = at::from_blob(const_cast<std::byte*>(entry.data.data()), entry.shape, at::kHalf);
  const Tensor values = half.to(at::kFloat).contiguous();
  const auto* const value = values.const_data_ptr<float>();
  return {.step = file.step,
          .pictures = entry.shape[0],
          .patches = entry.shape[1],
          .width = entry.shape[2],
          .values_nND = {value, value + values.numel()}};
}

io::PixelBuffer feature_sheet(const std::vector<io::PixelBuffer>& images, const std::vector<FeatureStep>& steps, int side) {
  const FeatureStep& last = steps.back();
  const ColourBasis basis = colour_basis({last.values_nND, last.width});
  const int grid = static_cast<int>(std::lround(std::sqrt(static_cast<double>(last.patches)))), tile = grid * std::max(1, side / grid);
  const int first = images.empty() ? 0 : 1, columns = first + static_cast<int>(steps.size()), rows = static_cast<int>(last.pictures);
  io::PixelBuffer out;
  out.reshape(gutter + rows * (tile + gutter), gutter + columns * (tile + gutter), 3);
  std::fill(out.pixels.begin(), out.pixels.end(), paper[0]);
  const auto place = [](int i, int size) { return gutter + i * (size + gutter); };
  for (int row = 0; row < std::min(rows, static_cast<int>(images.size())); ++row) {
    paste(out, images[static_cast<size_t>(row)].view(), place(row, tile), place(0, tile), tile, tile);
  }
  for (size_t s = 0; s < steps.size(); ++s) {
    const FeatureStep& step = steps[s];
    if (step.pictures != last.pictures || step.patches != last.patches || step.width != last.width) continue;
    const std::vector<Colour> colours = feature_colours(basis, {step.values_nND, step.width});
    for (int row = 0; row < rows; ++row) {
      const Colour* const of_picture = colours.data() + static_cast<size_t>(row) * static_cast<size_t>(step.patches);
      paste(out, {of_picture->data(), grid, grid, 3}, place(row, tile), place(first + static_cast<int>(s), tile), tile, tile);
    }
  }
  return out;
}

}  // namespace flowrun
