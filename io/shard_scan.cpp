#include "io/shard_scan.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "io/error.h"
#include "io/strict_json.h"
#include "io/tar.h"
#include "io/workers.h"

namespace flowrun::io {

namespace fs = std::filesystem;

namespace {

struct MemberName {
  std::string key;  // empty: belongs to no sample
  std::string extension;
};

MemberName split(const std::string& name) {
  const size_t slash = name.rfind('/'), base = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = name.find('.', base);
  if (dot == std::string::npos || dot == base) return {};
  MemberName out{name.substr(0, dot), name.substr(name.rfind('.') + 1)};
  for (char& c : out.extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool is_image(const std::string& extension) { return extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp"; }

int32_t parse_cls(std::span<const uint8_t> bytes, const std::string& where) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  int32_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  std::string shown;
  for (const char c : text.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
  throw Error(where + " holds \"" + shown + "\", not the number of a class");
}

// What describes a picture in other words may be anything, so a fault is only that there is no label.
int32_t parse_json_label(std::span<const uint8_t> bytes) {
  try {
    const auto json = parse_strict_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "");
    for (const char* key : {"label", "cls"}) {
      const auto place = json.is_object() ? json.find(key) : json.end();
      if (place != json.end() && place->is_number_unsigned() && place->get<uint64_t>() <= INT32_MAX) return place->get<int32_t>();
    }
  } catch (const Error&) {
  }
  return -1;
}

/// Puts members together.
class Grouper {
 public:
  Grouper(TarReader& reader, const std::string& where) : reader_(reader), where_(where) {}

  std::vector<ScannedSample> run(uint64_t& passed_over) {
    for (TarMember member; reader_.next(member);) {
      const MemberName name = split(member.name);
      if (name.key != key_) {
        finish();
        begin(name.key);
      }
      if (key_.empty()) {
        ++passed_over_;
      } else {
        take(member, name.extension);
      }
    }
    finish();
    passed_over = passed_over_;
    return std::move(samples_);
  }

 private:
  void begin(const std::string& key) {
    key_ = key, sample_ = {}, members_ = 0, label_.clear();
    if (!key.empty() && !keys_.insert(key).second) {
      throw Error(where_ + ": the sample " + key + " comes again, apart from its other members; the members of a sample must follow one another");
    }
  }

  void take(const TarMember& member, const std::string& extension) {
    ++members_;
    const bool labels = extension == "cls" || extension == "json";
    if (!labels && !is_image(extension)) return;
    const std::string about = where_ + ": " + member.name;
    if (member.kind == TarMember::Kind::link) throw Error(about + " is a link; write the shard with tar --dereference --hard-dereference");
    if (labels) {
      label_ = member.name;
      reader_.read(bytes_);
      int32_t& label = extension == "cls" ? sample_.cls : sample_.json;
      if (label >= 0) throw Error(about + ": the sample has another ." + extension);
      label = extension == "cls" ? parse_cls(bytes_, about) : parse_json_label(bytes_);
      return;
    }
    if (!sample_.image.empty()) throw Error(where_ + ": the sample " + key_ + " has two images, " + sample_.image + " and " + member.name);
    if (member.size > UINT32_MAX) throw Error(about + " has " + std::to_string(member.size) + " bytes, too many for an image");
    reader_.read(bytes_);
    sample_.image = member.name, sample_.offset = member.offset;
    sample_.size = static_cast<uint32_t>(member.size), sample_.hash = hash_of(bytes_);
  }

  void finish() {
    if (key_.empty()) return;
    if (!sample_.image.empty()) return samples_.push_back(std::move(sample_));
    if (!label_.empty()) throw Error(where_ + ": the sample " + key_ + " has no image, only " + label_);
    passed_over_ += members_;
  }

  TarReader& reader_;
  const std::string& where_;
  std::string key_, label_;
  ScannedSample sample_;
  uint64_t members_ = 0, passed_over_ = 0;
  std::unordered_set<std::string> keys_;
  std::vector<ScannedSample> samples_;
  std::vector<uint8_t> bytes_;
};

/// Gives back what was read to look at it.
class PeekedStream final : public ByteStream {
 public:
  explicit PeekedStream(ByteStream& stream) : stream_(stream) { size_ = read_fully(stream, first_, sizeof first_); }
  std::span<const uint8_t> first() const { return {first_, size_}; }
  uint64_t count() const { return count_; }

  size_t read(uint8_t* out, size_t size) override {
    size_t given = 0;
    for (; given < size && begin_ < size_; ++given) out[given] = first_[begin_++];
    if (given == 0) given = stream_.read(out, size);
    count_ += given;
    return given;
  }

 private:
  ByteStream& stream_;
  uint8_t first_[6] = {};
  size_t size_ = 0, begin_ = 0;
  uint64_t count_ = 0;
};

void refuse_other_compressions(std::span<const uint8_t> first, const std::string& where) {
  const auto begins = [&](std::string_view magic) {
    return first.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), first.begin(), [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
  };
  const char* const program = begins("\x1f\x8b") ? "gzip"
                              : begins("BZh")    ? "bzip2"
                              : begins(
                                    "\xfd"
                                    "7zXZ")
                                  ? "xz"
                                  : nullptr;
  if (program == nullptr) return;
  throw Error(where + " is compressed by " + program + ", which has no random access: decompress it (" + program +
              " -d); .tar and .tar.zst are read");
}

}  // namespace

ScannedShard scan_shard(ByteStream& stream, const std::string& where) {
  PeekedStream file(stream);
  refuse_other_compressions(file.first(), where);
  ScannedShard out;
  if (looks_like_zstd(file.first())) {
    ZstdStream plain(file, where);
    TarReader reader(plain, where);
    out.samples = Grouper(reader, where).run(out.passed_over);
    out.frames = plain.frames();
    out.shard.frames = out.frames.size();
    out.shard.content = out.frames.empty() ? 0 : out.frames.back().content_offset + out.frames.back().content_size;
    out.shard.size = file.count();
  } else {
    TarReader reader(file, where);
    out.samples = Grouper(reader, where).run(out.passed_over);
    out.shard.size = out.shard.content = file.count();
  }
  return out;
}

namespace {

/// Tells how far it is.
class CountedFile final : public ByteStream {
 public:
  CountedFile(const fs::path& path, const std::function<void(uint64_t)>& progress) : file_(path), progress_(progress) {}
  size_t read(uint8_t* out, size_t size) override {
    const size_t count = file_.read(out, size);
    unsaid_ += count;
    if (progress_ && (unsaid_ >= (size_t{1} << 22) || count == 0)) progress_(std::exchange(unsaid_, 0));
    return count;
  }

 private:
  FileStream file_;
  const std::function<void(uint64_t)>& progress_;
  uint64_t unsaid_ = 0;
};

bool is_shard_name(const std::string& name) { return name.ends_with(".tar") || name.ends_with(".tar.zst") || name.ends_with(".tzst"); }

std::vector<fs::path> shards_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with('.')) continue;
    if (is_shard_name(name)) out.push_back(it->path());
    for (const char* other : {".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"}) {
      if (name.ends_with(other)) throw Error(it->path().string() + " has no random access: decompress it; .tar and .tar.zst are read");
    }
  }
  if (error) throw system_error("list", folder, error.value());
  if (out.empty()) throw Error("no .tar or .tar.zst in " + folder.string());
  return out;
}

std::string name_below(const fs::path& shard, const fs::path& folder) {
  const fs::path whole = fs::absolute(shard).lexically_normal();
  const fs::path below = whole.lexically_relative(fs::absolute(folder.empty() ? "./" : folder / "").lexically_normal());
  return below.empty() || below.begin()->string() == ".." ? whole.string() : below.string();
}

}  // namespace

std::vector<fs::path> list_shards(std::span<const std::string> paths) {
  std::vector<fs::path> out;
  for (const fs::path path : paths) {
    if (!fs::is_directory(path)) {
      out.push_back(path);
      continue;
    }
    const std::vector<fs::path> found = shards_of(path);
    out.insert(out.end(), found.begin(), found.end());
  }
  std::sort(out.begin(), out.end(), [](const fs::path& a, const fs::path& b) { return a.string() < b.string(); });
  const auto twice = std::adjacent_find(out.begin(), out.end());
  if (twice != out.end()) throw Error(twice->string() + " is named twice");
  return out;
}

IndexedShards index_shards(const std::vector<fs::path>& shards, const fs::path& folder, const IndexOptions& options) {
  std::vector<ScannedShard> scans(shards.size());
  for_each_parallel(shards.size(), options.threads, [&](size_t i) {
    const std::string where = shards[i].string();
    CountedFile file(shards[i], options.progress);
    ScannedShard& scan = scans[i] = scan_shard(file, where);
    for (const ZstdFrame& frame : scan.frames) {
      if (frame.content_size <= options.largest_frame) continue;
      throw Error(where + " has a zstd frame of " + std::to_string(frame.content_size >> 20) +
                  " MiB, which every sample in it would have to decompress: write the shards anew by flowrun pack " +
                  (shards[i].has_parent_path() ? shards[i].parent_path().string() : ".") + " OUT");
    }
    const FileDescriptor again = open_regular_file(shards[i]);
    scan.shard.fingerprint = shard_fingerprint(again.get(), scan.shard.size, shards[i]);
    scan.shard.name = name_below(shards[i], folder);
  });
  return merge_scans(scans, shards, options);
}

}  // namespace flowrun::io
