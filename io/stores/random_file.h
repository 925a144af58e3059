// A file that is read anywhere, on a disk or in an object store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace flowrun::io {

// Any thread. Errors name the file.
class RandomFile {
 public:
  virtual ~RandomFile() = default;
  virtual uint64_t size() const = 0;
  // Exactly OUT.size() bytes at OFFSET. Throws Error, also when there are fewer.
  virtual void read(uint64_t offset, std::span<uint8_t> out) const = 0;
  // Asks for bytes that are needed soon, and does not wait. The later read reports errors.
  virtual void prefetch(uint64_t offset, uint64_t size) const = 0;
  // Changes when the file does: of an object its version (ETag), of a file on a disk its size and time.
  virtual std::string version() const = 0;
};

// "s3://…", "gs://…": a file of an object store.
bool is_url(const std::string& path);
// FOLDER/NAME; NAME alone if it is absolute, or a URL.
std::string join_path(const std::string& folder, const std::string& name);
// Everything before the last slash; empty: there is none.
std::string folder_of(const std::string& path);

// Asks the system to allow COUNT more open files: data sets often have more than the 1024 that a shell allows by default, and the hard limit is
// far higher.
void allow_open_files(size_t count);

// A path or a URL. Throws Error when it is missing or can't be read.
std::unique_ptr<RandomFile> open_random_file(const std::string& path);

}  // namespace flowrun::io
