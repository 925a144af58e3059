#include "io/shards/tar.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "io/error.h"

namespace flowrun::io {

namespace {

// The layout of a header in POSIX.
struct Field {
  size_t offset, size;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, owner_field{108, 8}, group_field{116, 8}, size_field{124, 12}, time_field{136, 12},
    checksum_field{148, 8}, magic_field{257, 8}, prefix_field{345, 155};
constexpr size_t type_offset = 156;

constexpr uint64_t longest_text = uint64_t{1} << 20;  // of long names and pax records: any real one is far shorter
constexpr uint64_t largest_size = uint64_t{1} << 60;  // leaves room for sums
constexpr uint64_t largest_octal = 077777777777;      // 11 digits: 8 GiB - 1

std::string_view text_of(std::span<const uint8_t> header, Field field) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + field.offset, field.size);
  return text.substr(0, text.find('\0'));
}

// Octal between blanks, or base 256 where the first bit is set. Empty when it is neither, negative or too large.
std::optional<uint64_t> number_of(std::span<const uint8_t> header, Field field) {
  const std::span<const uint8_t> bytes = header.subspan(field.offset, field.size);
  uint64_t value = 0;
  if (bytes[0] & 0x80) {
    if (bytes[0] != 0x80) return std::nullopt;  // 0xff: negative; others: larger than 64 bits
    for (const uint8_t byte : bytes.subspan(1)) {
      if (value >> 56) return std::nullopt;
      value = value << 8 | byte;
    }
    return value;
  }
  size_t i = 0;
  while (i < bytes.size() && bytes[i] == ' ') ++i;
  for (; i < bytes.size() && bytes[i] >= '0' && bytes[i] <= '7'; ++i) value = value << 3 | static_cast<uint64_t>(bytes[i] - '0');
  for (; i < bytes.size(); ++i) {
    if (bytes[i] != ' ' && bytes[i] != 0) return std::nullopt;
  }
  return value;
}

// Sum of all bytes, with the checksum itself counted as blanks. Some old programs added signed bytes.
bool checksum_fits(std::span<const uint8_t> header) {
  const std::optional<uint64_t> written = number_of(header, checksum_field);
  uint64_t sum = 0;
  int64_t signed_sum = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool blank = i >= checksum_field.offset && i < checksum_field.offset + checksum_field.size;
    const uint8_t byte = blank ? ' ' : header[i];
    sum += byte, signed_sum += static_cast<int8_t>(byte);
  }
  return written && (*written == sum || static_cast<int64_t>(*written) == signed_sum);
}

uint64_t padding_of(uint64_t size) { return (tar_block - size % tar_block) % tar_block; }

bool is_zero(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

TarReader::TarReader(ByteStream& stream, std::string where) : stream_(stream), where_(std::move(where)) {}

void TarReader::fail(uint64_t offset, const std::string& what) const { throw Error(where_ + ": " + what + " (byte " + std::to_string(offset) + ")"); }

void TarReader::fail_short(const std::string& inside) const {
  throw Error(where_ + " is cut short: it ends " + inside + ", after " + std::to_string(offset_) + " bytes; fetch or write it again");
}

void TarReader::skip(uint64_t size) {
  uint8_t scratch[4096];
  while (size > 0) {
    const size_t count = stream_.read(scratch, static_cast<size_t>(std::min<uint64_t>(size, sizeof scratch)));
    if (count == 0) fail_short("inside " + name_);
    offset_ += count, size -= count;
  }
}

void TarReader::skip_padding() {
  skip(padding_);
  padding_ = 0;
}

bool TarReader::read_header(Block& block) {
  const uint64_t begin = offset_;
  const size_t count = read_fully(stream_, block.data(), block.size());
  offset_ += count;
  if (offset_ == 0) throw Error(where_ + " is empty, not a tar archive");
  if (count < block.size()) fail_short(count == 0 ? "without tar's end mark" : "inside a header");
  if (is_zero(block)) return false;
  if (checksum_fits(block)) return true;
  if (begin == 0) throw Error(where_ + " is not a tar archive: its first header has a wrong checksum");
  fail(begin, "damaged: a header has a wrong checksum");
}

void TarReader::check_end() {
  uint8_t scratch[4096];
  while (const size_t count = stream_.read(scratch, sizeof scratch)) {
    if (!is_zero({scratch, count})) {
      fail(offset_, "there are data after the end mark, which tar programs ignore; if these are two archives in one file, separate them");
    }
    offset_ += count;
  }
}

std::string TarReader::read_text(uint64_t size) {
  if (size > longest_text) fail(offset_, "a name or record of " + std::to_string(size) + " bytes");
  std::string text(static_cast<size_t>(size), '\0');
  const size_t count = read_fully(stream_, reinterpret_cast<uint8_t*>(text.data()), text.size());
  offset_ += count;
  if (count < text.size()) fail_short("inside a header");
  name_ = "a header";
  skip(padding_of(size));
  return text;
}

// Records are "LENGTH KEY=VALUE\n", the length counting all of it.
void TarReader::read_records(uint64_t size, Records& records) {
  const uint64_t begin = offset_;
  const std::string text = read_text(size);
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<size_t>(end - rest.data());
    if (error != std::errc() || length > rest.size() || length < digits + 3 || *end != ' ' || rest[length - 1] != '\n') {
      if (is_zero({reinterpret_cast<const uint8_t*>(rest.data()), rest.size()})) return;
      fail(begin, "damaged: a pax record has a wrong length");
    }
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) fail(begin, "damaged: a pax record has no \"=\"");
    records[std::string(record.substr(0, equals))] = record.substr(equals + 1);
    rest.remove_prefix(length);
  }
}

std::string TarReader::name_of(const Block& block, const std::string& long_name, const Records& records) const {
  if (const auto path = records.find("path"); path != records.end() && !path->second.empty()) {
    if (path->second.find('\0') != std::string::npos) fail(offset_ - tar_block, "a name with a zero byte");
    return path->second;
  }
  if (!long_name.empty()) return long_name;
  std::string name(text_of(block, name_field));
  // GNU's own format (magic "ustar  ") has other fields in place of the POSIX prefix.
  const std::string_view prefix = text_of(block, prefix_field);
  if (std::memcmp(block.data() + magic_field.offset, "ustar\0", 6) == 0 && !prefix.empty()) name = std::string(prefix) + "/" + name;
  return name;
}

uint64_t TarReader::size_of(const Block& block, const Records& records) const {
  std::optional<uint64_t> size = number_of(block, size_field);
  if (const auto record = records.find("size"); record != records.end() && !record->second.empty()) {
    const char* const last = record->second.data() + record->second.size();
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(record->second.data(), last, value);
    size = error == std::errc() && end == last ? std::optional(value) : std::nullopt;
  }
  if (!size || *size > largest_size) fail(offset_ - tar_block, "damaged: the size of a member is no number");
  return *size;
}

bool TarReader::next(TarMember& member) {
  if (done_) return false;
  skip(left_);
  left_ = 0;
  skip_padding();
  Block block;
  Records records = global_;
  std::string long_name;
  while (read_header(block)) {
    const char type = static_cast<char>(block[type_offset]);
    const uint64_t header = offset_ - tar_block;
    if (type == 'x' || type == 'X') {
      read_records(size_of(block, {}), records);
      continue;
    }
    if (type == 'g') {
      read_records(size_of(block, {}), global_);
      records = global_;
      continue;
    }
    if (type == 'L') {
      long_name = read_text(size_of(block, {}));
      long_name.resize(std::min(long_name.find('\0'), long_name.size()));
      continue;
    }
    member.name = name_ = name_of(block, long_name, records);
    if (type == 'S' || records.lower_bound("GNU.sparse.") != records.lower_bound("GNU.sparse/")) {
      fail(header, name_ + " is stored as a sparse file; write the archive without --sparse");
    }
    if (type == 'M') fail(header, "a continuation of an archive in several volumes");
    const bool is_link = type == '1' || type == '2';
    // Headers of directories and links sometimes give sizes, but have no data.
    const bool has_data = !(type >= '1' && type <= '6');
    const bool is_file = type == '0' || type == '7' || (type == '\0' && !name_.ends_with('/'));
    left_ = has_data ? size_of(block, records) : 0;
    padding_ = padding_of(left_);
    if (is_file || is_link) {
      if (name_.empty()) fail(header, "a member without a name");
      member.kind = is_link ? TarMember::Kind::link : TarMember::Kind::file;
      member.offset = offset_, member.size = left_;
      return true;
    }
    skip(left_);
    left_ = 0;
    skip_padding();
    records = global_;
    long_name.clear();
  }
  check_end();
  done_ = true;
  return false;
}

void TarReader::read(std::vector<uint8_t>& out) {
  constexpr uint64_t piece = uint64_t{1} << 22;
  out.clear();
  while (left_ > 0) {
    const size_t have = out.size(), more = static_cast<size_t>(std::min(left_, piece));
    out.resize(have + more);
    const size_t count = read_fully(stream_, out.data() + have, more);
    offset_ += count, left_ -= count;
    if (count < more) fail_short("inside " + name_);
  }
}

namespace {

void put_text(std::span<uint8_t> header, Field field, std::string_view text) {
  if (!text.empty()) std::memcpy(header.data() + field.offset, text.data(), std::min(text.size(), field.size));
}

// Zero-padded octal and a zero byte.
void put_number(std::span<uint8_t> header, Field field, uint64_t value) {
  for (size_t i = field.size - 1; i-- > 0; value >>= 3) header[field.offset + i] = static_cast<uint8_t>('0' + (value & 7));
}

void append_block(std::vector<uint8_t>& out, std::string_view prefix, std::string_view name, uint64_t size, char type) {
  std::array<uint8_t, tar_block> block{};
  put_text(block, name_field, name);
  put_text(block, prefix_field, prefix);
  put_number(block, mode_field, 0644);
  put_number(block, owner_field, 0);
  put_number(block, group_field, 0);
  put_number(block, size_field, size);
  put_number(block, time_field, 0);
  std::memcpy(block.data() + magic_field.offset, "ustar\00000", 8);
  block[type_offset] = static_cast<uint8_t>(type);
  std::fill_n(block.begin() + checksum_field.offset, checksum_field.size, ' ');
  uint64_t sum = 0;
  for (const uint8_t byte : block) sum += byte;
  put_number(block, {checksum_field.offset, 7}, sum);  // six digits, zero, blank
  block[checksum_field.offset + 6] = 0;
  out.insert(out.end(), block.begin(), block.end());
}

// A record counts its own length's digits too.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;  // blank, "=", newline
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  return std::to_string(length) + " " + std::string(key) + "=" + std::string(value) + "\n";
}

// The slash at which NAME can be split into prefix and name; npos if it can't.
size_t cut_of(std::string_view name) {
  if (name.size() <= name_field.size) return 0;
  const size_t first = name.size() - name_field.size - 1;
  const size_t cut = name.find('/', first);
  return cut == 0 || cut > prefix_field.size || cut + 1 == name.size() ? std::string_view::npos : cut;
}

}  // namespace

void append_tar_header(std::vector<uint8_t>& out, std::string_view name, uint64_t size) {
  if (name.empty()) throw Error("a member of a tar archive needs a name");
  if (name.find('\0') != std::string_view::npos) throw Error("a name with a zero byte: " + std::string(name.substr(0, name.find('\0'))));
  if (size > largest_size) throw Error("a member of " + std::to_string(size) + " bytes");
  const size_t cut = cut_of(name);
  std::string records;
  if (cut == std::string_view::npos) records += pax_record("path", name);
  if (size > largest_octal) records += pax_record("size", std::to_string(size));
  if (!records.empty()) {
    append_block(out, "", "PaxHeader", records.size(), 'x');
    out.insert(out.end(), records.begin(), records.end());
    append_tar_padding(out, records.size());
  }
  const uint64_t shown = size > largest_octal ? 0 : size;
  if (cut == std::string_view::npos || cut == 0) {
    append_block(out, "", name.substr(0, name_field.size), shown, '0');
  } else {
    append_block(out, name.substr(0, cut), name.substr(cut + 1), shown, '0');
  }
}

void append_tar_padding(std::vector<uint8_t>& out, uint64_t size) { out.insert(out.end(), static_cast<size_t>(padding_of(size)), 0); }

void append_tar_file(std::vector<uint8_t>& out, std::string_view name, std::span<const uint8_t> data) {
  append_tar_header(out, name, data.size());
  out.insert(out.end(), data.begin(), data.end());
  append_tar_padding(out, data.size());
}

}  // namespace flowrun::io
