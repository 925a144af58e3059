#include "tools/app/embed/projector.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include "graph/text/error.h"
#include "io/codec/image_decoder.h"
#include "io/codec/png.h"
#include "io/file.h"
#include "io/resize/resize.h"
#include "io/run/row_file.h"
#include "io/run/safetensors.h"
#include "io/workers.h"
#include "tools/app/text.h"

namespace flowrun::app {
namespace {

namespace fs = std::filesystem;

/// Reads one array's rows in their order.
class ArrayReader {
 public:
  ArrayReader(const std::string& file, const char* name) {
    if (file.ends_with(".npy")) {
      const io::NpyHead head = io::read_npy_head(file);
      open(file, head.begin, head.dtype, head.shape);
      return;
    }
    const io::SafetensorsFile mapped{fs::path(file)};
    const io::SafetensorsHead head = io::safetensors_head(file, mapped.entries());
    for (size_t i = 0; i < mapped.entries().size(); ++i) {
      const io::TensorEntry& entry = mapped.entries()[i];
      if (entry.name == name) open(file, head.begin[i], entry.dtype, entry.shape);
    }
    if (!in_.is_open()) throw RunError(file + " holds no " + name);
  }

  const std::vector<int64_t>& shape() const { return shape_; }
  const std::string& dtype() const { return dtype_; }
  template <class T>
  void read(std::vector<T>& row) {
    in_.read(reinterpret_cast<char*>(row.data()), static_cast<std::streamsize>(row.size() * sizeof(T)));
    if (!in_) throw RunError(file_ + " ends too early");
  }

 private:
  void open(const std::string& file, uint64_t begin, const std::string& dtype, const std::vector<int64_t>& shape) {
    file_ = file, dtype_ = dtype, shape_ = shape;
    in_.open(file, std::ios::binary);
    in_.seekg(static_cast<std::streamoff>(begin));
  }

  std::string file_, dtype_;
  std::vector<int64_t> shape_;
  std::ifstream in_;
};

/// A cell of a .tsv table.
std::string cell(std::string text) {
  for (char& c : text) {
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

class Table {
 public:
  explicit Table(const fs::path& path) : file_(path) {}
  void add(const std::string& text) {
    text_ += text;
    if (text_.size() > (1 << 20)) write();
  }
  void commit() {
    write();
    file_.commit();
  }

 private:
  void write() {
    file_.write(std::as_bytes(std::span(text_)));
    text_.clear();
  }
  io::AtomicFile file_;
  std::string text_;
};

/// TensorBoard takes a sprite of up to 8192 x 8192 pixels, squares side by side.
constexpr int most_sprite = 8192, most_thumbnail = 64, least_thumbnail = 8;

int columns_of(size_t points) { return static_cast<int>(std::ceil(std::sqrt(static_cast<double>(points)))); }

/// 0: there are too many points.
int thumbnail_side_for(size_t points) {
  const int side = points == 0 ? 0 : std::min(most_thumbnail, most_sprite / columns_of(points));
  return side < least_thumbnail ? 0 : side;
}

/// The square in the middle of a picture, shrunk.
void draw_thumbnail(const std::vector<uint8_t>& file, int side, std::vector<uint8_t>& out) {
  thread_local io::ImageDecoder decoder;
  thread_local io::Resizer resizer;
  thread_local io::PixelBuffer whole, square;
  decoder.decode(file, {.least_side = side}, whole);
  const int middle = std::min(whole.width, whole.height);
  io::copy_rect(whole, {(whole.width - middle) / 2, (whole.height - middle) / 2, middle, middle}, square);
  out.resize(static_cast<size_t>(side) * static_cast<size_t>(side) * 3);
  resizer.resize(square.view(), side, side, io::Filter::bilinear, false, out.data());
}

void write_sprite(const fs::path& path, const std::vector<int64_t>& points, int side, const EmbedRows& rows) {
  const auto columns = static_cast<size_t>(columns_of(points.size())), pixels = static_cast<size_t>(side), row_bytes = pixels * 3;
  io::PixelBuffer sprite;
  sprite.reshape(static_cast<int>(columns * pixels), static_cast<int>(columns * pixels), 3);
  std::fill(sprite.pixels.begin(), sprite.pixels.end(), uint8_t{255});
  io::for_each_parallel(points.size(), static_cast<int>(std::thread::hardware_concurrency()), [&](size_t i) {
    thread_local std::vector<uint8_t> thumbnail;
    draw_thumbnail(rows.picture(points[i]), side, thumbnail);
    const size_t left = i % columns * row_bytes, top = i / columns * pixels;
    for (size_t y = 0; y < pixels; ++y) {
      std::copy_n(thumbnail.data() + y * row_bytes, row_bytes, sprite.pixels.data() + (top + y) * columns * row_bytes + left);
    }
  });
  io::write_png(path, sprite.view());
}

}  // namespace

int64_t write_projector(const std::string& folder, const std::string& file, const std::string& labels, const EmbedRows& rows) {
  ArrayReader features(file, "features");
  if (features.shape().size() != 2 || features.dtype() != "F32")
    throw RunError(file + ": the projector takes one vector of each picture, in float32");
  std::optional<ArrayReader> classes;
  if (!rows.classes.empty()) classes.emplace(file.ends_with(".npy") ? labels : file, "labels");
  fs::create_directories(folder);
  Table tensors(fs::path(folder) / "tensors.tsv"), metadata(fs::path(folder) / "metadata.tsv");
  if (classes) metadata.add("key\tclass\n");  // of one column there is no title
  std::vector<float> row(static_cast<size_t>(features.shape()[1]));
  std::vector<int64_t> label(1, -1);
  std::vector<int64_t> points;  // their rows
  for (int64_t i = 0; i < rows.count; ++i) {
    features.read(row);
    if (classes) classes->read(label);
    if (std::isnan(row[0])) continue;
    std::string line;
    for (const float value : row) line += print(line.empty() ? "%.7g" : "\t%.7g", static_cast<double>(value));
    tensors.add(line + "\n");
    const bool known = label[0] >= 0 && static_cast<size_t>(label[0]) < rows.classes.size();
    metadata.add(cell(rows.key(i)) + (classes ? "\t" + cell(known ? rows.classes[static_cast<size_t>(label[0])] : "") : "") + "\n");
    points.push_back(i);
  }
  tensors.commit(), metadata.commit();
  const int side = thumbnail_side_for(points.size());
  std::string sprite;
  if (side > 0) {
    write_sprite(fs::path(folder) / "sprite.png", points, side, rows);
    const std::string pixels = std::to_string(side);
    sprite = "  sprite {\n    image_path: \"sprite.png\"\n    single_image_dim: " + pixels + "\n    single_image_dim: " + pixels + "\n  }\n";
  }
  io::write_file_atomic(
      fs::path(folder) / "projector_config.pbtxt",
      "embeddings {\n  tensor_name: \"features\"\n  tensor_path: \"tensors.tsv\"\n  metadata_path: \"metadata.tsv\"\n" + sprite + "}\n");
  return static_cast<int64_t>(points.size());
}

}  // namespace flowrun::app
