#include "io/pack/pack_source.h"

#include <algorithm>
#include <cstdio>
#include <unordered_set>

#include "io/error.h"
#include "io/folders/image_folder.h"
#include "io/shards/archive_stream.h"
#include "io/shards/shard_reader.h"
#include "io/shards/shard_scan.h"
#include "io/shards/tar.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

class FolderSource final : public PackSource {
 public:
  explicit FolderSource(const fs::path& path) : folder_(list_image_folder(path)) {
    // If some pictures are beside the class folders, no picture has a class.
    const bool flat = !folder_.strays.empty();
    for (const ImageFile& file : folder_.files) names.push_back(file.path), labels.push_back(flat ? -1 : file.label);
    if (!flat) classes = folder_.classes;
    kind = classes.empty() ? LabelKind::none : LabelKind::folder;
    roots = {path};
  }
  void read(size_t sample, std::vector<uint8_t>& out) const override { read_file(folder_.root / folder_.files[sample].path, out); }
  std::string where(size_t sample) const override { return (folder_.root / folder_.files[sample].path).string(); }

 private:
  ImageFolder folder_;
};

/// Without empty and "." parts; those that lead out of the folder are refused.
std::string tidy_name(std::string_view name, const std::string& where) {
  std::string out;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part == "..") throw Error(where + ": a name with \"..\" leads out of the folder");
    if (!part.empty() && part != ".") out += (out.empty() ? "" : "/") + std::string(part);
    begin = end + 1;
  }
  return out;
}

/// Removes the folders that all names share, as shard_scan.h does for classes: the rest is as in a folder.
void strip_shared_folder(std::vector<std::string>& names) {
  std::string shared = names[0].substr(0, names[0].rfind('/') + 1);
  for (const std::string& name : names) {
    const auto end = std::mismatch(shared.begin(), shared.end(), name.begin(), name.end()).first;
    shared.resize(static_cast<size_t>(end - shared.begin()));
    shared.resize(shared.rfind('/') + 1);
  }
  for (std::string& name : names) name.erase(0, shared.size());
}

class ShardSource : public PackSource {
 public:
  explicit ShardSource(const ShardIndex& index, const std::vector<fs::path>& shards) {
    kind = index.labels, classes = index.classes;
    for (size_t i = 0; i < index.samples.size(); ++i) {
      const ShardSample& sample = index.samples[i];
      names.push_back(tidy_name(index.name(sample), shards[sample.shard].string()));
      labels.push_back(sample.label);
    }
    captions = static_cast<uint64_t>(std::count_if(index.captions.begin(), index.captions.end(), [](const ShardCaption& c) { return c.size > 0; }));
    strip_shared_folder(names);
    for (const fs::path& shard : shards) roots.push_back(shard.has_parent_path() ? shard.parent_path() : fs::path("."));
  }
};

class RandomShards final : public ShardSource {
 public:
  RandomShards(ShardIndex index, const std::vector<fs::path>& shards) : ShardSource(index, shards), reader_(std::move(index), "") {}
  void read(size_t sample, std::vector<uint8_t>& out) const override { reader_.read(sample, true, out); }
  std::string where(size_t sample) const override { return reader_.key(sample); }

 private:
  ShardReader reader_;
};

/// Archives, and shards whose frames are too large for random access.
class ForwardShards final : public ShardSource {
 public:
  ForwardShards(ShardIndex index, std::vector<fs::path> shards) : ShardSource(index, shards), index_(std::move(index)), shards_(std::move(shards)) {}

  void take(size_t sample, std::vector<uint8_t>& out) override {
    const ShardSample& wanted = index_.samples[sample];
    if (!open_ || open_->shard != wanted.shard) {
      open_ = std::make_unique<Open>(shards_[wanted.shard], wanted.shard, index_.shards[wanted.shard].frames > 0);
    }
    TarMember member;
    while (member.offset != wanted.offset || member.kind != TarMember::Kind::file) {
      if (!open_->reader.next(member)) throw Error(where(sample) + ": the shard changed while it was packed");
    }
    open_->reader.read(out);
    if (hash_of(out) != wanted.hash) throw Error(where(sample) + ": the shard changed while it was packed");
  }
  std::string where(size_t sample) const override {
    return shards_[index_.samples[sample].shard].string() + ": " + std::string(index_.name(index_.samples[sample]));
  }

 private:
  struct Open {
    Open(const fs::path& path, uint32_t shard, bool compressed)
        : shard(shard),
          file(open(path.string())),
          plain(*file, path.string()),
          reader(compressed ? static_cast<ByteStream&>(plain) : *file, path.string()) {}
    static std::unique_ptr<ByteStream> open(const std::string& path) {
      if (is_archive_name(path)) return std::make_unique<ArchiveStream>(path);
      return std::make_unique<FileStream>(path);
    }
    uint32_t shard;
    std::unique_ptr<ByteStream> file;
    ZstdStream plain;
    TarReader reader;
  };

  ShardIndex index_;
  std::vector<fs::path> shards_;
  std::unique_ptr<Open> open_;
};

/// Keys end at the first dot: a file's other dots become "_", and a key that is already used gets a number.
void make_keys(std::vector<std::string>& names) {
  std::unordered_set<std::string> taken;
  for (std::string& name : names) {
    const size_t slash = name.rfind('/'), base = slash == std::string::npos ? 0 : slash + 1, last = name.rfind('.');
    const bool extended = last != std::string::npos && last > base;
    const std::string extension = extended ? name.substr(last) : "";
    std::string key = extended ? name.substr(0, last) : name;
    std::replace(key.begin() + static_cast<std::ptrdiff_t>(base), key.end(), '.', '_');
    std::string free = key;
    for (int i = 2; !taken.insert(free).second; ++i) free = key + "~" + std::to_string(i);
    name = free + extension;
  }
}

/// Images of numbered classes go to folders that sort as the numbers do.
void make_class_folders(PackSource& source) {
  if ((source.kind != LabelKind::cls && source.kind != LabelKind::json) || !source.classes.empty()) return;
  for (size_t i = 0; i < source.names.size(); ++i) {
    char folder[16];
    std::snprintf(folder, sizeof folder, "%06d/", source.labels[i]);
    source.names[i].insert(0, folder);
  }
}

void make_paths(PackSource& source) {
  make_class_folders(source);
  std::unordered_set<std::string> taken;
  for (std::string& name : source.names) {
    const size_t dot = name.rfind('.');
    const std::string stem = name.substr(0, dot), extension = name.substr(dot);
    for (int i = 2; !taken.insert(name).second; ++i) name = stem + "~" + std::to_string(i) + extension;
  }
}

bool holds_shards(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(), [](const fs::directory_entry& entry) {
    const std::string name = entry.path().filename().string();
    return !name.starts_with('.') && (name.ends_with(".tar") || name.ends_with(".tar.zst") || name.ends_with(".tzst"));
  });
}

}  // namespace

size_t key_size(std::string_view name) {
  const size_t slash = name.rfind('/');
  return std::min(name.find('.', slash == std::string_view::npos ? 0 : slash + 1), name.size());
}

std::unique_ptr<PackSource> open_pack_source(const std::vector<std::string>& from, const PackOptions& options) {
  std::unique_ptr<PackSource> source;
  if (from.size() == 1 && !fs::is_regular_file(from[0]) && !(fs::is_directory(from[0]) && holds_shards(from[0]))) {
    source = std::make_unique<FolderSource>(from[0]);
  } else {
    const std::vector<fs::path> shards = list_shards(from);
    IndexOptions how{.labels = options.labels, .threads = options.threads, .archives = true, .largest_frame = UINT64_MAX};
    const uint64_t largest_frame = IndexOptions().largest_frame;
    ShardIndex index = index_shards(shards, "", how).index;
    const bool forward = std::ranges::any_of(shards, [](const fs::path& shard) { return is_archive_name(shard.string()); }) ||
                         std::any_of(index.frames.begin(), index.frames.end(), [&](const ZstdFrame& f) { return f.content_size > largest_frame; });
    if (!forward) {
      source = std::make_unique<RandomShards>(std::move(index), shards);
    } else {
      source = std::make_unique<ForwardShards>(std::move(index), shards);
    }
  }
  if (options.to_folder) {
    make_paths(*source);
  } else {
    make_keys(source->names);
  }
  return source;
}

}  // namespace flowrun::io
