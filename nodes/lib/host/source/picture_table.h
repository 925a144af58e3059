// Pictures in rows of Parquet files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/tables/parquet_file.h"

namespace flowrun::source {

/// Names of columns; empty: found by what data sets call them.
struct PictureColumns {
  std::string image, label, name, caption;
};

/// The files of a folder as one table. Errors are io::Error, and name the file.
class PictureTable {
 public:
  /// PATH: a file, a folder, or the URL of either. Reads everything but the pictures.
  PictureTable(const std::string& path, const PictureColumns& columns, bool with_captions, int threads);

  /// By which lists name rows: what the column of names has, or "FILE row 3".
  const std::vector<std::string>& names() const { return names_; }
  /// For messages: with the file.
  std::string key(size_t row) const;
  const std::vector<int>& labels() const { return labels_; }            // -1: none
  const std::vector<std::string>& classes() const { return classes_; }  // by label; empty: there are no labels
  bool numbers() const { return numbers_; }                             // the labels are numbers without names
  const std::vector<std::string>& captions() const { return captions_; }
  const std::vector<std::string>& remarks() const { return remarks_; }
  uint64_t bytes() const { return bytes_; }  // of the files
  /// Any thread.
  void read(size_t row, std::vector<uint8_t>& out) const;

 private:
  struct File {
    std::string path;
    std::unique_ptr<io::ParquetFile> opened;
    std::vector<io::ParquetFile::Page> pages;
    std::vector<std::string> names, labels, captions;
    size_t first = 0;  // row of the table
  };
  void find_columns(const PictureColumns& asked, bool with_captions);
  void read_files(int threads);
  void number_labels();
  const File& file_of(size_t row) const;

  std::string path_;
  PictureColumns columns_;
  std::vector<File> files_;
  std::vector<std::string> names_, classes_, captions_, remarks_;
  std::vector<int> labels_;
  bool numbers_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace flowrun::source
