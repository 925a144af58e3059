// Tar archives, member by member, with the place of each member's data, which random access needs and no library gives
// (libarchive reads forward only). Reads v7, ustar, GNU (long names, large sizes) and pax; writes ustar, and pax where
// ustar has no room.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/shards/byte_stream.h"

namespace flowrun::io {

inline constexpr size_t tar_block = 512;

struct TarMember {
  enum class Kind { file, link };  // directories, devices and the like are skipped
  std::string name;                // as written: it may begin with "/" or hold ".."
  Kind kind = Kind::file;
  uint64_t offset = 0;  // of the data, from the begin of the stream
  uint64_t size = 0;    // bytes of data; links have none
};

// Reads one archive forward, to its end. Every header's checksum is verified; errors begin with WHERE and say at which
// byte. An archive without the zero block at its end counts as cut short, and bytes behind it as a fault (of two
// archives put together, other readers silently see the first alone). Sparse files are refused.
class TarReader {
 public:
  TarReader(ByteStream& stream, std::string where);

  // The next file or link; false at the end. Skips data that was not read.
  bool next(TarMember& member);

  // The data of the file that next() returned, once. OUT keeps its capacity, and grows with what is there, not with
  // what the header claims.
  void read(std::vector<uint8_t>& out);

 private:
  using Block = std::array<uint8_t, tar_block>;
  using Records = std::map<std::string, std::string, std::less<>>;

  bool read_header(Block& block);
  void check_end();
  std::string read_text(uint64_t size);
  void read_records(uint64_t size, Records& records);
  std::string name_of(const Block& block, const std::string& long_name, const Records& records) const;
  uint64_t size_of(const Block& block, const Records& records) const;
  void skip(uint64_t size);
  void skip_padding();
  [[noreturn]] void fail(uint64_t offset, const std::string& what) const;
  [[noreturn]] void fail_short(const std::string& inside) const;

  ByteStream& stream_;
  std::string where_;
  uint64_t offset_ = 0;  // of the next byte of the stream
  uint64_t left_ = 0;    // of the present member's data
  uint64_t padding_ = 0;
  std::string name_;  // of the present member
  Records global_;    // pax records for all members that follow
  bool done_ = false;
};

// Appends the headers of a file: mode 644, owner and time 0, so that the same files give the same archive. Its data
// follows, then append_tar_padding(). Throws Error on an empty name and on one with a zero byte.
void append_tar_header(std::vector<uint8_t>& out, std::string_view name, uint64_t size);
// Appends zeros up to a whole block after SIZE bytes of data.
void append_tar_padding(std::vector<uint8_t>& out, uint64_t size);
// Appends a whole file.
void append_tar_file(std::vector<uint8_t>& out, std::string_view name, std::span<const uint8_t> data);
// Appends the end of an archive: two zero blocks.
inline constexpr size_t tar_end = 2 * tar_block;

}  // namespace flowrun::io
