// Archives without random access (zip, 7z, tar under gzip, bzip2 or xz), read forward by libarchive, which is opened at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/shards/byte_stream.h"

namespace flowrun::io {

// By the name: .zip, .7z, .tar.gz, .tgz, .tar.bz2, .tbz2, .tar.xz, .txz.
bool is_archive_name(const std::string& name);

// The files of an archive, in its order, as the tar that they would be: so whatever reads shards reads it. Folders, links and the like are
// left out. Throws Error: without libarchive, on what it can't read, on encrypted files, and on files of more than 1 GiB.
class ArchiveStream final : public ByteStream {
 public:
  explicit ArchiveStream(const std::string& path);
  ~ArchiveStream() override;
  ArchiveStream(const ArchiveStream&) = delete;
  ArchiveStream& operator=(const ArchiveStream&) = delete;
  size_t read(uint8_t* out, size_t size) override;

 private:
  bool next_file();
  void read_data(const std::string& name);
  [[noreturn]] void fail(const std::string& inside);

  std::string path_;
  void* archive_ = nullptr;
  std::vector<uint8_t> data_, buffer_;  // of a file; of the tar
  size_t at_ = 0;
  bool done_ = false;
};

}  // namespace flowrun::io
