#include "nodes/lib/host/source/picture_table.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "graph/text/error.h"
#include "io/error.h"
#include "io/folders/class_names.h"
#include "io/stores/block_cache.h"
#include "io/stores/object_store.h"
#include "io/stores/random_file.h"
#include "io/workers.h"
#include "nodes/lib/host/source/picture_names.h"

namespace flowrun::source {
namespace {

namespace fs = std::filesystem;

// Names of columns in data sets, the likeliest first. A column of "image" is "image.bytes" where pictures are structures, as Hugging Face writes
// them.
constexpr std::array image_names = {"image.bytes", "img.bytes", "jpg.bytes", "jpeg.bytes", "png.bytes", "webp.bytes", "picture.bytes", "image", "img",
                                    "jpg",         "jpeg",      "png",       "webp",       "picture",   "bytes",      "content",       "data"};
constexpr std::array label_names = {"label", "labels", "class", "cls", "target", "fine_label", "class_label", "y"};
constexpr std::array name_names = {"image.path", "img.path", "__key__", "file_name", "filename", "file", "path", "name", "key", "id"};
constexpr std::array caption_names = {"caption", "text", "txt", "caption_0"};

bool is_table(const fs::path& path) { return path.extension() == ".parquet" && !path.filename().string().starts_with('.'); }

/// Paths with the sizes of their files, sorted by path.
std::vector<std::pair<std::string, uint64_t>> files_of(const std::string& path) {
  std::vector<std::pair<std::string, uint64_t>> out;
  if (io::is_url(path)) {
    static const std::vector<std::string> endings = {".parquet"};
    if (path.substr(0, path.find('?')).ends_with(".parquet")) return {{path, io::object_store().find(path).size}};
    for (const io::StoredObject& object : io::list_objects(path, endings)) out.emplace_back(object.url, object.size);
  } else if (fs::is_directory(path)) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file() && is_table(entry.path())) out.emplace_back(entry.path().string(), entry.file_size());
    }
  } else {
    if (!fs::exists(path)) throw io::Error("there is no " + path);
    out.emplace_back(path, fs::file_size(path));
  }
  if (out.empty()) throw io::Error("no .parquet in " + path);
  std::ranges::sort(out);
  return out;
}

template <size_t N>
std::string find(const std::vector<std::string>& columns, const std::array<const char*, N>& names) {
  for (const char* const name : names) {
    const auto found = std::ranges::find_if(columns, [&](const std::string& column) { return lower(column) == name; });
    if (found != columns.end()) return *found;
  }
  return "";
}

}  // namespace

PictureTable::PictureTable(const std::string& path, const PictureColumns& columns, bool with_captions, int threads) : path_(path) {
  for (auto& [name, size] : files_of(path)) {
    files_.push_back({.path = name, .opened = nullptr, .pages = {}, .names = {}, .labels = {}, .captions = {}});
    bytes_ += size;
  }
  io::allow_open_files(files_.size());
  files_[0].opened = io::open_parquet(files_[0].path);
  find_columns(columns, with_captions);
  // Of a store the time goes into waiting.
  read_files(io::is_url(path) ? 32 : threads);
  size_t row = 0;
  for (File& file : files_) {
    file.first = row, row += file.names.size();
    std::ranges::move(file.names, std::back_inserter(names_));
    std::ranges::move(file.captions, std::back_inserter(captions_));
  }
  if (row == 0) throw io::Error(path + " has no rows");
  number_labels();
  const io::BlockCache* const cache = io::is_url(path) ? io::block_cache() : nullptr;
  if (cache != nullptr && bytes_ > cache->limit()) {
    remarks_.push_back(path + " has " + std::to_string(bytes_ >> 30) + " GiB, and the cache of blocks on this machine " +
                       std::to_string(cache->limit() >> 30) + ": most of it is fetched again each epoch; FLOWRUN_BLOCKS_GIB makes it larger");
  }
}

void PictureTable::find_columns(const PictureColumns& asked, bool with_captions) {
  const std::vector<std::string> columns = files_[0].opened->columns();
  const auto require = [&](const std::string& column) {
    if (column.empty() || std::ranges::find(columns, column) != columns.end()) return column;
    throw io::Error(files_[0].path + " has no column " + column + "; " + did_you_mean(column, columns) + "there are: " + join(columns));
  };
  columns_.image = asked.image.empty() ? find(columns, image_names) : require(asked.image);
  if (columns_.image.empty()) throw io::Error(files_[0].path + ": no column has a name of pictures; say which by \"image\": " + join(columns));
  columns_.label = asked.label.empty() ? find(columns, label_names) : require(asked.label);
  columns_.name = asked.name.empty() ? find(columns, name_names) : require(asked.name);
  if (!with_captions) return;
  columns_.caption = asked.caption.empty() ? find(columns, caption_names) : require(asked.caption);
  if (columns_.caption.empty())
    throw io::Error("captions are read, but no column of " + files_[0].path + " has a name of texts; say which by \"caption\": " + join(columns));
}

void PictureTable::read_files(int threads) {
  io::for_each_parallel(files_.size(), threads, [&](size_t i) {
    File& file = files_[i];
    if (!file.opened) file.opened = io::open_parquet(file.path);
    file.pages = file.opened->find_pages(columns_.image);
    const auto rows = static_cast<size_t>(file.opened->rows());
    if (!columns_.name.empty()) file.names = file.opened->texts(columns_.name);
    file.names.resize(rows);
    for (size_t row = 0; row < rows; ++row) {
      if (file.names[row].empty()) file.names[row] = fs::path(file.path).filename().string() + " row " + std::to_string(row);
    }
    if (!columns_.label.empty()) file.labels = file.opened->texts(columns_.label);
    if (!columns_.caption.empty()) file.captions = file.opened->texts(columns_.caption);
  });
}

/// The names of a ClassLabel belong to its numbers; otherwise as labels of lists are read.
void PictureTable::number_labels() {
  if (columns_.label.empty()) return labels_.assign(names_.size(), -1);
  std::vector<std::string> texts;
  for (File& file : files_) std::ranges::move(file.labels, std::back_inserter(texts));
  classes_ = files_[0].opened->class_names(columns_.label);
  if (classes_.empty()) {
    io::ClassNames named = io::name_classes(texts);
    labels_.assign(named.labels.begin(), named.labels.end()), classes_ = std::move(named.classes), numbers_ = named.numbers;
    return;
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    const int64_t label = io::whole_number(texts[i]);
    if (label < -1 || label >= static_cast<int64_t>(classes_.size())) {
      throw io::Error(key(i) + ": its label is " + texts[i] + ", but " + columns_.label + " has " + std::to_string(classes_.size()) + " names");
    }
    labels_.push_back(static_cast<int>(label));
  }
}

const PictureTable::File& PictureTable::file_of(size_t row) const { return *(std::ranges::upper_bound(files_, row, {}, &File::first) - 1); }

std::string PictureTable::key(size_t row) const { return file_of(row).path + ": " + names_[row]; }

void PictureTable::read(size_t row, std::vector<uint8_t>& out) const {
  const File& file = file_of(row);
  const auto in_file = static_cast<int64_t>(row - file.first);
  const auto page = std::ranges::upper_bound(file.pages, in_file, {}, &io::ParquetFile::Page::first) - 1;
  file.opened->read(columns_.image, *page, in_file, out);
}

}  // namespace flowrun::source
