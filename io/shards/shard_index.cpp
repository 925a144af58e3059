#include "io/shards/shard_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/error.h"
#include "io/file.h"

namespace flowrun::io {

namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they lie in memory");

// The file: header, shards, frames, samples, lengths of the classes' names, and all names without gaps (shards', classes', samples').
// Of version 2 the captions follow the samples; without captions version 1 is written.
struct Header {
  char magic[8];
  uint32_t version, labels;
  uint64_t shards, classes, frames, samples, names;  // counts; names in bytes
  uint64_t checksum;                                 // XXH3 of the file with zeros here
};
static_assert(sizeof(Header) == 64);
constexpr char magic[] = {'f', 'l', 'o', 'w', 'r', 'u', 'n', '\x1a'};
constexpr uint32_t version = 1, with_captions = 2;
constexpr uint64_t largest_frame = uint64_t{1} << 30;  // flowrun index stops far below

struct ShardRecord {
  uint64_t size, fingerprint, content, frames, name_size;
};
struct FrameRecord {
  uint64_t offset, size, content_size;
};
struct SampleRecord {
  uint64_t offset, hash;
  uint32_t size, shard;
  int32_t label;
  uint32_t name_size;
};

struct CaptionRecord {
  uint64_t offset, hash, size;
};

template <class T>
void append(std::vector<uint8_t>& out, const T& record) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(&record);
  out.insert(out.end(), bytes, bytes + sizeof record);
}

void append_text(std::vector<uint8_t>& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

uint64_t checksum_of(std::span<const uint8_t> bytes) {
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  header.checksum = 0;
  return XXH3_64bits_withSeed(bytes.data() + sizeof header, bytes.size() - sizeof header, XXH3_64bits(&header, sizeof header));
}

/// Takes entries from the front; the caller has counted them before.
class Cursor {
 public:
  Cursor(std::span<const uint8_t> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  template <class T>
  T take() {
    T out;
    std::memcpy(&out, bytes_.data(), sizeof out);
    bytes_ = bytes_.subspan(sizeof out);
    return out;
  }
  std::string text(uint64_t size) {
    check(size <= bytes_.size());
    std::string out(reinterpret_cast<const char*>(bytes_.data()), static_cast<size_t>(size));
    bytes_ = bytes_.subspan(static_cast<size_t>(size));
    return out;
  }
  bool at_end() const { return bytes_.empty(); }
  /// Faults under a right checksum were written by a faulty program.
  void check(bool holds) const {
    if (!holds) throw Error(where_ + " contradicts itself: run flowrun index again");
  }

 private:
  std::span<const uint8_t> bytes_;
  std::string where_;
};

/// Whether the counts of the header match the file's size.
bool counts_fit(const Header& header, size_t size) {
  uint64_t left = size - sizeof header;
  const auto take = [&](uint64_t count, size_t record) {
    if (count > left / record) return false;
    left -= count * record;
    return true;
  };
  return take(header.shards, sizeof(ShardRecord)) && take(header.frames, sizeof(FrameRecord)) && take(header.samples, sizeof(SampleRecord)) &&
         take(header.version == with_captions ? header.samples : 0, sizeof(CaptionRecord)) && take(header.classes, sizeof(uint32_t)) &&
         left == header.names;
}

/// Frames of a shard are contiguous, in the file and in the archive.
void take_frames(Cursor& cursor, const Shard& shard, std::vector<ZstdFrame>& frames) {
  uint64_t end = 0, content = 0;
  for (uint64_t i = 0; i < shard.frames; ++i) {
    const auto record = cursor.take<FrameRecord>();
    cursor.check(record.offset >= end && record.offset <= shard.size && record.size <= shard.size - record.offset);
    cursor.check(record.content_size > 0 && record.content_size <= largest_frame && record.content_size <= shard.content - content);
    frames.push_back({record.offset, record.size, content, record.content_size});
    end = record.offset + record.size, content += record.content_size;
  }
  cursor.check(shard.frames > 0 ? content == shard.content : shard.content == shard.size);
}

void take_captions(Cursor& cursor, ShardIndex& index) {
  for (const ShardSample& sample : index.samples) {
    const auto record = cursor.take<CaptionRecord>();
    const uint64_t content = index.shards[sample.shard].content;
    cursor.check(record.offset <= content && record.size <= content - record.offset && record.size <= UINT32_MAX);
    index.captions.push_back({record.offset, record.hash, static_cast<uint32_t>(record.size)});
  }
  cursor.check(!index.captions.empty());
}

Header header_of(std::span<const uint8_t> bytes, const std::string& where) {
  Header header{};
  if (bytes.size() >= sizeof magic && std::memcmp(bytes.data(), magic, sizeof magic) != 0) throw Error(where + " is not an index of shards");
  if (bytes.size() < sizeof header) throw Error(where + " is cut short: run flowrun index again");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.version != version && header.version != with_captions) {
    throw Error(where + " is of version " + std::to_string(header.version) + ", this program reads " + std::to_string(version) + " and " +
                std::to_string(with_captions) + ": run flowrun index again");
  }
  if (header.checksum != checksum_of(bytes)) throw Error(where + " is damaged or cut short: run flowrun index again");
  return header;
}

}  // namespace

const char* label_kind_name(LabelKind kind) {
  switch (kind) {
    case LabelKind::cls:
      return "cls";
    case LabelKind::json:
      return "json";
    case LabelKind::folder:
      return "folder";
    default:
      return "none";
  }
}

void ShardIndex::add(ShardSample sample, std::string_view name) {
  sample.name = names.size(), sample.name_size = static_cast<uint32_t>(name.size());
  names += name;
  samples.push_back(sample);
}

int64_t ShardIndex::class_count() const {
  int64_t count = static_cast<int64_t>(classes.size());
  for (const ShardSample& sample : samples) count = std::max<int64_t>(count, int64_t{sample.label} + 1);
  return count;
}

bool ShardIndex::numbers() const {
  if (labels != LabelKind::cls && labels != LabelKind::json) return false;
  return std::all_of(classes.begin(), classes.end(), [](const std::string& name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
}

std::vector<uint8_t> encode_shard_index(const ShardIndex& index) {
  uint64_t names = index.names.size();
  for (const Shard& shard : index.shards) names += shard.name.size();
  for (const std::string& name : index.classes) names += name.size();
  Header header{.version = index.captions.empty() ? version : with_captions,
                .labels = static_cast<uint32_t>(index.labels),
                .shards = index.shards.size(),
                .classes = index.classes.size(),
                .frames = index.frames.size(),
                .samples = index.samples.size(),
                .names = names};
  std::memcpy(header.magic, magic, sizeof magic);
  std::vector<uint8_t> out;
  out.reserve(sizeof header + index.samples.size() * sizeof(SampleRecord) + index.frames.size() * sizeof(FrameRecord) + names + 65536);
  append(out, header);
  for (const Shard& shard : index.shards) append(out, ShardRecord{shard.size, shard.fingerprint, shard.content, shard.frames, shard.name.size()});
  for (const ZstdFrame& frame : index.frames) append(out, FrameRecord{frame.offset, frame.size, frame.content_size});
  for (const ShardSample& s : index.samples) append(out, SampleRecord{s.offset, s.hash, s.size, s.shard, s.label, s.name_size});
  for (const ShardCaption& c : index.captions) append(out, CaptionRecord{c.offset, c.hash, c.size});
  for (const std::string& name : index.classes) append(out, static_cast<uint32_t>(name.size()));
  for (const Shard& shard : index.shards) append_text(out, shard.name);
  for (const std::string& name : index.classes) append_text(out, name);
  append_text(out, index.names);
  header.checksum = checksum_of(out);
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

ShardIndex parse_shard_index(std::span<const uint8_t> bytes, const std::string& where) {
  const Header header = header_of(bytes, where);
  Cursor cursor(bytes.subspan(sizeof header), where);
  cursor.check(header.labels <= static_cast<uint32_t>(LabelKind::folder) && counts_fit(header, bytes.size()));
  ShardIndex index;
  index.labels = static_cast<LabelKind>(header.labels);
  std::vector<uint64_t> shard_names;
  for (uint64_t i = 0; i < header.shards; ++i) {
    const auto record = cursor.take<ShardRecord>();
    const uint64_t first = i == 0 ? 0 : index.shards.back().first_frame + index.shards.back().frames;
    cursor.check(record.frames <= header.frames - first && record.name_size > 0);
    index.shards.push_back({"", record.size, record.fingerprint, record.content, first, record.frames});
    shard_names.push_back(record.name_size);
  }
  for (const Shard& shard : index.shards) take_frames(cursor, shard, index.frames);
  cursor.check(index.frames.size() == header.frames);
  uint64_t names = 0;
  index.samples.reserve(static_cast<size_t>(header.samples));
  for (uint64_t i = 0; i < header.samples; ++i) {
    const auto r = cursor.take<SampleRecord>();
    cursor.check(r.shard < header.shards && (i == 0 || r.shard >= index.samples.back().shard));
    const uint64_t content = index.shards[r.shard].content;
    cursor.check(r.offset <= content && r.size <= content - r.offset);
    cursor.check(r.label >= -1 && (r.label < 0 || header.classes == 0 || static_cast<uint64_t>(r.label) < header.classes));
    index.samples.push_back({r.offset, r.hash, names, r.size, r.shard, r.label, r.name_size});
    names += r.name_size;
  }
  if (header.version == with_captions) take_captions(cursor, index);
  std::vector<uint32_t> class_names;
  for (uint64_t i = 0; i < header.classes; ++i) class_names.push_back(cursor.take<uint32_t>());
  for (size_t i = 0; i < shard_names.size(); ++i) {
    index.shards[i].name = cursor.text(shard_names[i]);
    cursor.check(index.shards[i].name.find('\0') == std::string::npos);
  }
  for (const uint32_t size : class_names) index.classes.push_back(cursor.text(size));
  index.names = cursor.text(names);
  cursor.check(cursor.at_end());
  return index;
}

std::string shard_index_path(const std::string& path) {
  if (is_url(path)) return path.substr(0, path.find('?')).ends_with(".flowrun") ? path : join_path(path, shard_index_name);
  return std::filesystem::is_directory(path) ? (std::filesystem::path(path) / shard_index_name).string() : path;
}

uint64_t hash_of(std::span<const uint8_t> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t shard_fingerprint(const RandomFile& file) {
  constexpr uint64_t part = uint64_t{1} << 16;
  std::vector<uint8_t> bytes(static_cast<size_t>(std::min(file.size(), 2 * part)));
  const std::span<uint8_t> all(bytes);
  const size_t head = std::min<size_t>(bytes.size(), part);
  file.read(0, all.first(head));
  file.read(file.size() - (bytes.size() - head), all.subspan(head));
  return hash_of(bytes);
}

}  // namespace flowrun::io
