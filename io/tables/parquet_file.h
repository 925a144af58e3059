// A Parquet file whose rows are read one by one, at any place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace flowrun::io {

// Columns are named by their path: "label", "image.bytes". Errors name the file. All but find_pages(): any thread.
class ParquetFile {
 public:
  virtual ~ParquetFile() = default;
  virtual int64_t rows() const = 0;
  virtual std::vector<std::string> columns() const = 0;
  // Names by label that the file's description has for this feature (Hugging Face's ClassLabel); empty: none.
  virtual std::vector<std::string> class_names(const std::string& feature) const = 0;
  // A whole column as texts: numbers are written out, what is missing is empty. Throws Error for lists, and for numbers with fractions.
  virtual std::vector<std::string> texts(const std::string& column) const = 0;

  // A data page of a column: rows from `first` on, in `size` bytes at `offset`.
  struct Page {
    int64_t first = 0, rows = 0;
    uint64_t offset = 0, size = 0;
    int32_t group = 0;
  };
  // From the file's index of pages, or, without one, from the pages' headers. Throws Error if the column holds no bytes.
  virtual std::vector<Page> find_pages(const std::string& column) const = 0;
  // The value of a row; `page` holds it. Throws Error if the row has none.
  virtual void read(const std::string& column, const Page& page, int64_t row, std::vector<uint8_t>& out) const = 0;
};

// FILE as arrow_module() takes it.
std::unique_ptr<ParquetFile> open_parquet(const std::string& path);

}  // namespace flowrun::io
