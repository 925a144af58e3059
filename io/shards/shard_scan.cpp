#include "io/shards/shard_scan.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "io/codec/image_format.h"
#include "io/error.h"
#include "io/json_text.h"
#include "io/shards/archive_stream.h"
#include "io/shards/tar.h"
#include "io/stores/object_store.h"
#include "io/strict_json.h"
#include "io/workers.h"

namespace flowrun::io {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t largest_cls = uint64_t{1} << 16, largest_caption = uint64_t{1} << 16, largest_json = uint64_t{1} << 26,
                   largest_image = uint64_t{1} << 30;

struct MemberName {
  std::string name;    // without "./" and doubled slashes
  std::string key;     // empty: belongs to no sample
  std::string suffix;  // behind the key's dot, in lower case: "jpg", "seg.png"
  std::string_view extension() const { return std::string_view(suffix).substr(suffix.rfind('.') + 1); }
};

// Members whose base name begins with a dot belong to none: macOS's tar puts one (AppleDouble) in front of each file.
MemberName split(const std::string& member) {
  MemberName out{.name = fs::path(member).lexically_normal().string()};
  const size_t slash = out.name.rfind('/'), base = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = out.name.find('.', base);
  if (dot == std::string::npos || dot == base) return out;
  out.key = out.name.substr(0, dot), out.suffix = out.name.substr(dot + 1);
  for (char& c : out.suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

const char* const about_dots = ": a sample's key ends at the first dot of its name, so names of files must have no other dots";

std::string_view text_of(std::span<const uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string parse_cls(std::span<const uint8_t> bytes, const std::string& where) {
  std::string_view text = text_of(bytes);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  constexpr size_t longest = 256;
  const bool readable = std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
  if (text.size() <= longest && readable) return std::string(text);
  std::string shown;
  for (const char c : text.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
  throw Error(where + " holds \"" + shown + "\", not the number or the name of a class");
}

/// NaN and Infinity, which Python writes, are no JSON: null in their place.
std::string without_nan(std::string_view json) {
  std::string out;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = json.substr(i);
    const std::string_view word = rest.starts_with("NaN")         ? "NaN"
                                  : rest.starts_with("-Infinity") ? "-Infinity"
                                  : rest.starts_with("Infinity")  ? "Infinity"
                                                                  : "";
    if (!quoted && !word.empty()) {
      out += "null", i += word.size() - 1;
      continue;
    }
    const bool escapes = quoted && json[i] == '\\' && i + 1 < json.size();
    if (json[i] == '"') quoted = !quoted;
    out += json[i];
    if (escapes) out += json[++i];
  }
  return out;
}

// A JSON member may hold any other description, so only a missing label is a fault.
std::optional<std::string> parse_json_label(std::span<const uint8_t> bytes) {
  try {
    const auto json = parse_strict_json(without_nan(text_of(bytes)), "");
    for (const char* key : {"label", "cls", "class"}) {
      const auto place = json.is_object() ? json.find(key) : json.end();
      if (place == json.end()) continue;
      if (place->is_string()) return place->get<std::string>();
      if (place->is_number() || place->is_null()) return place->is_null() ? "" : json_text(*place);
    }
  } catch (const Error&) {
  }
  return {};
}

/// Combines members into samples.
class Grouper {
 public:
  Grouper(TarReader& reader, const std::string& where, const std::string& image) : reader_(reader), where_(where), image_(image) {}

  std::vector<ScannedSample> run(uint64_t& passed_over) {
    for (TarMember member; reader_.next(member);) {
      const MemberName name = split(member.name);
      if (name.key.empty()) {
        ++passed_over_;
        continue;
      }
      if (name.key != key_) {
        finish();
        begin(name);
      }
      take(member, name);
    }
    finish();
    passed_over = passed_over_;
    return std::move(samples_);
  }

 private:
  void begin(const MemberName& name) {
    key_ = name.key, sample_ = {}, members_ = 0, label_.clear();
    if (keys_.insert(key_).second) return;
    throw Error(where_ + ": the sample " + key_ + " comes again, apart from its other members; the members of a sample must follow one another" +
                (name.suffix.find('.') == std::string::npos ? "" : about_dots));
  }

  void take(const TarMember& member, const MemberName& name) {
    ++members_;
    if (name.suffix == "txt") return take_caption(member);
    const bool labels = name.suffix == "cls" || name.suffix == "json";
    const bool image = !labels && (image_.empty() ? is_image_name("x." + std::string(name.extension())) : name.suffix == image_);
    if (!labels && !image) return;
    const std::string about = where_ + ": " + name.name;
    if (member.kind == TarMember::Kind::link) throw Error(about + " is a link; write the shard with tar --dereference --hard-dereference");
    // Checked by the archive's header, before anything is read: a few compressed bytes can hold gigabytes.
    const uint64_t most = image ? largest_image : name.suffix == "cls" ? largest_cls : largest_json;
    if (member.size > most) throw Error(about + " has " + std::to_string(member.size) + " bytes, too many for " + (image ? "an image" : "a label"));
    image ? take_image(member, name) : take_label(name, about);
  }

  void take_label(const MemberName& name, const std::string& about) {
    label_ = name.name;
    reader_.read(bytes_);
    std::optional<std::string>& label = name.suffix == "cls" ? sample_.cls : sample_.json;
    if (label) throw Error(about + ": the sample has another ." + name.suffix);
    label = name.suffix == "cls" ? parse_cls(bytes_, about) : parse_json_label(bytes_);
  }

  void take_caption(const TarMember& member) {
    if (member.kind == TarMember::Kind::link || member.size == 0 || member.size > largest_caption) return;
    reader_.read(bytes_);
    sample_.caption = {member.offset, hash_of(bytes_), static_cast<uint32_t>(member.size)};
  }

  /// The image among several pictures (x.jpg, x.mask.png): the one with nothing between key and extension.
  void take_image(const TarMember& member, const MemberName& name) {
    const bool plain = name.suffix.find('.') == std::string::npos;
    if (!sample_.image.empty() && plain == plain_) {
      throw Error(where_ + ": the sample " + key_ + " has two images, " + sample_.image + " and " + name.name +
                  (plain ? "; choose one by --image " + suffix_ + " or --image " + name.suffix : about_dots));
    }
    if (!sample_.image.empty() && !plain) return;
    reader_.read(bytes_);
    plain_ = plain, suffix_ = name.suffix;
    sample_.image = name.name, sample_.offset = member.offset;
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
  const std::string& image_;
  std::string key_, label_, suffix_;  // the last is the image's
  bool plain_ = false;
  ScannedSample sample_;
  uint64_t members_ = 0, passed_over_ = 0;
  std::unordered_set<std::string> keys_;
  std::vector<ScannedSample> samples_;
  std::vector<uint8_t> bytes_;
};

/// Returns the bytes that were read for detection.
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

ScannedShard scan_shard(ByteStream& stream, const std::string& where, const std::string& image) {
  PeekedStream file(stream);
  refuse_other_compressions(file.first(), where);
  ScannedShard out;
  if (looks_like_zstd(file.first())) {
    ZstdStream plain(file, where);
    TarReader reader(plain, where);
    out.samples = Grouper(reader, where, image).run(out.passed_over);
    out.frames = plain.frames();
    out.shard.frames = out.frames.size();
    out.shard.content = out.frames.empty() ? 0 : out.frames.back().content_offset + out.frames.back().content_size;
    out.shard.size = file.count();
  } else {
    TarReader reader(file, where);
    out.samples = Grouper(reader, where, image).run(out.passed_over);
    out.shard.size = out.shard.content = file.count();
  }
  return out;
}

namespace {

/// An object from begin to end, in pieces that are worth a request.
class ObjectStream final : public ByteStream {
 public:
  explicit ObjectStream(const std::string& url) : store_(object_store()), object_(store_.find(url)) {}
  size_t read(uint8_t* out, size_t size) override {
    if (at_ == buffer_.size()) {
      if (done_ == object_.size) return 0;
      buffer_.resize(static_cast<size_t>(std::min<uint64_t>(uint64_t{8} << 20, object_.size - done_)));
      store_.read(object_, done_, buffer_);
      done_ += buffer_.size(), at_ = 0;
    }
    const size_t count = std::min(size, buffer_.size() - at_);
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), count, out);
    at_ += count;
    return count;
  }

 private:
  const ObjectStore& store_;
  const StoredObject object_;
  std::vector<uint8_t> buffer_;
  size_t at_ = 0;
  uint64_t done_ = 0;  // of the object
};

/// Reports progress.
class CountedFile final : public ByteStream {
 public:
  CountedFile(const std::string& path, const std::function<void(uint64_t)>& progress) : progress_(progress) {
    if (is_url(path)) {
      file_ = std::make_unique<ObjectStream>(path);
    } else if (is_archive_name(path)) {
      file_ = std::make_unique<ArchiveStream>(path);
    } else {
      file_ = std::make_unique<FileStream>(path);
    }
  }
  size_t read(uint8_t* out, size_t size) override {
    const size_t count = file_->read(out, size);
    unsaid_ += count;
    if (progress_ && (unsaid_ >= (size_t{1} << 22) || count == 0)) progress_(std::exchange(unsaid_, 0));
    return count;
  }

 private:
  std::unique_ptr<ByteStream> file_;
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
  if (is_url(shard.string())) return shard.string();
  const fs::path whole = fs::absolute(shard).lexically_normal();
  const fs::path below = whole.lexically_relative(fs::absolute(folder.empty() ? "./" : folder / "").lexically_normal());
  return below.empty() || below.begin()->string() == ".." ? whole.string() : below.string();
}

}  // namespace

std::vector<fs::path> list_shards(std::span<const std::string> paths) {
  std::vector<fs::path> out;
  for (const fs::path path : paths) {
    if (is_url(path.string())) {
      static const std::vector<std::string> endings = {".tar", ".tar.zst", ".tzst"};
      const std::string plain = path.string().substr(0, path.string().find('?'));
      const bool is_shard = is_shard_name(plain);
      for (const StoredObject& object : is_shard ? std::vector<StoredObject>{{path.string(), 0, ""}} : list_objects(path.string(), endings))
        out.emplace_back(object.url);
      if (out.empty()) throw Error("no .tar or .tar.zst below " + path.string());
      continue;
    }
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
    if (!options.archives && is_archive_name(where)) throw Error(where + " has no random access: run flowrun pack " + where + " OUT");
    CountedFile file(where, options.progress);
    ScannedShard& scan = scans[i] = scan_shard(file, where, options.image);
    for (const ZstdFrame& frame : scan.frames) {
      if (frame.content_size <= options.largest_frame) continue;
      throw Error(where + " has a zstd frame of " + std::to_string(frame.content_size >> 20) +
                  " MiB, which every sample in it would have to decompress: write the shards anew by flowrun pack " +
                  (shards[i].has_parent_path() ? shards[i].parent_path().string() : ".") + " OUT");
    }
    scan.shard.fingerprint = shard_fingerprint(*open_random_file(where));
    scan.shard.name = name_below(shards[i], folder);
  });
  return merge_scans(scans, shards, options);
}

}  // namespace flowrun::io
