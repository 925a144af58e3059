#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/file.h"

// Arrays on disk that are filled row by row, in any order and by several processes, and a list of the rows that are done.

namespace flowrun::io {

// An array of a file: `shape` begins with the number of rows.
struct RowArray {
  std::string name;   // in a safetensors file
  std::string dtype;  // "F32", "F16", "I64"
  std::vector<int64_t> shape;
};

// Such a file: .npy (NumPy's format 1.0; one array) or .safetensors, by its name. Several processes may open and fill one; what
// they write must agree. The file has its full size from the beginning. Not for several threads at once.
class RowFile {
 public:
  // Makes the file, or opens one that is there: its rows stay. Throws Error.
  RowFile(std::filesystem::path path, const std::vector<RowArray>& arrays);

  // Writes whole rows of an array, from `first` on. Throws Error.
  void write(size_t array, int64_t first, std::span<const std::byte> rows);
  // Makes all rows so far durable. Throws Error.
  void sync();

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::vector<uint64_t> begin_, row_bytes_;  // of each array
};

// The beginning of a .npy file.
struct NpyHead {
  std::string dtype;  // "F32", "F16", "I64"
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // of its data
};

// Reads the beginning of a file that RowFile made. Throws Error.
NpyHead read_npy_head(const std::filesystem::path& path);

// Which rows are done: a text file of one line, then one character for each row, 0 or 1. A process that is killed loses no row
// that it marked.
class RowsDone {
 public:
  // Writes a new list, with `note` (one line) and no row done; replaces an older one.
  static void begin(const std::filesystem::path& path, const std::string& note, int64_t rows);

  // Opens a list. Throws Error if the file is missing or is not a list of done rows.
  explicit RowsDone(std::filesystem::path path);

  const std::string& note() const { return note_; }
  int64_t rows() const { return rows_; }
  // First and end of each stretch of rows that are not done, ascending. Reads the file.
  std::vector<std::pair<int64_t, int64_t>> missing() const;
  // Throws Error.
  void mark(int64_t first, int64_t count);

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::string note_;
  int64_t begin_ = 0, rows_ = 0;
};

}  // namespace flowrun::io
