#include "tools/app/results/projector.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "graph/text/error.h"
#include "io/file.h"
#include "io/run/row_file.h"
#include "io/run/safetensors.h"
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
  int64_t points = 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    features.read(row);
    if (classes) classes->read(label);
    if (std::isnan(row[0])) continue;
    std::string line;
    for (const float value : row) line += print(line.empty() ? "%.7g" : "\t%.7g", static_cast<double>(value));
    tensors.add(line + "\n");
    const bool known = label[0] >= 0 && static_cast<size_t>(label[0]) < rows.classes.size();
    metadata.add(cell(rows.key(i)) + (classes ? "\t" + cell(known ? rows.classes[static_cast<size_t>(label[0])] : "") : "") + "\n");
    ++points;
  }
  tensors.commit(), metadata.commit();
  io::write_file_atomic(
      fs::path(folder) / "projector_config.pbtxt",
      std::string("embeddings {\n  tensor_name: \"features\"\n  tensor_path: \"tensors.tsv\"\n  metadata_path: \"metadata.tsv\"\n}\n"));
  return points;
}

}  // namespace flowrun::app
