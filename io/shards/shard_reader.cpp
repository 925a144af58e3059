#include "io/shards/shard_reader.h"

#include <algorithm>
#include <filesystem>

#include "io/error.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

ShardIndex read_index(const std::string& path) {
  const std::string file = shard_index_path(path);
  if (!is_url(file) && !fs::exists(file)) {
    if (!fs::exists(path)) throw Error("there is no " + path);
    throw Error("no " + std::string(shard_index_name) + " in " + path + ": run flowrun index " + path);
  }
  const std::unique_ptr<RandomFile> opened = open_random_file(file);
  std::vector<uint8_t> bytes(static_cast<size_t>(opened->size()));
  opened->read(0, bytes);
  return parse_shard_index(bytes, file);
}

}  // namespace

ShardReader::ShardReader(const std::string& path) : folder_(folder_of(shard_index_path(path))), index_(read_index(path)) { open_shards(); }

ShardReader::ShardReader(ShardIndex index, const std::string& folder) : folder_(folder), index_(std::move(index)) { open_shards(); }

std::string ShardReader::cure() const { return "run flowrun index " + (folder_.empty() ? std::string(".") : folder_); }

void ShardReader::open_shards() {
  allow_open_files(index_.shards.size());
  for (const Shard& shard : index_.shards) {
    const std::string path = join_path(folder_, shard.name);
    if (!is_url(path) && !fs::exists(path)) throw Error(path + " is missing, but the index names it: fetch it, or " + cure());
    std::unique_ptr<RandomFile> file = open_random_file(path);
    const uint64_t size = file->size();
    if (size < shard.size) {
      throw Error(path + " is cut short, or not the shard that was indexed: it has " + std::to_string(size) + " of " + std::to_string(shard.size) +
                  " bytes; fetch it again, or " + cure());
    }
    if (size > shard.size || shard_fingerprint(*file) != shard.fingerprint) throw Error(path + " is not the shard that was indexed: " + cure());
    paths_.push_back(path), files_.push_back(std::move(file));
  }
}

std::string ShardReader::key(size_t sample) const {
  const ShardSample& s = index_.samples[sample];
  return paths_[s.shard] + ": " + std::string(index_.name(s));
}

void ShardReader::read(size_t sample, bool verify, std::vector<uint8_t>& out) const { read_member(index_.samples[sample], verify, out); }

void ShardReader::read_caption(size_t sample, bool verify, std::vector<uint8_t>& out) const {
  out.clear();
  if (index_.captions.empty() || index_.captions[sample].size == 0) return;
  const ShardCaption& caption = index_.captions[sample];
  ShardSample member = index_.samples[sample];
  member.offset = caption.offset, member.hash = caption.hash, member.size = caption.size;
  read_member(member, verify, out);
}

/// An image, or what lies beside it.
void ShardReader::read_member(const ShardSample& s, bool verify, std::vector<uint8_t>& out) const {
  const Shard& shard = index_.shards[s.shard];
  out.resize(s.size);
  if (shard.frames == 0) {
    files_[s.shard]->read(s.offset, out);
  } else {
    read_frames(shard, s, out);
  }
  if (verify && hash_of(out) != s.hash) {
    throw Error(paths_[s.shard] + " changed since it was indexed: " + std::string(index_.name(s)) + " has other bytes; " + cure());
  }
}

void ShardReader::prefetch(size_t sample) const {
  const ShardSample& s = index_.samples[sample];
  const Shard& shard = index_.shards[s.shard];
  uint64_t offset = s.offset, size = s.size;
  if (shard.frames > 0) offset = first_frame(shard, s)->offset, size = first_frame(shard, s)->size;
  files_[s.shard]->prefetch(offset, size);
}

ShardReader::Frames::const_iterator ShardReader::first_frame(const Shard& shard, const ShardSample& sample) const {
  const auto first = index_.frames.begin() + static_cast<std::ptrdiff_t>(shard.first_frame);
  const auto last = first + static_cast<std::ptrdiff_t>(shard.frames);
  return std::upper_bound(first, last, sample.offset, [](uint64_t offset, const ZstdFrame& f) { return offset < f.content_offset; }) - 1;
}

void ShardReader::read_frames(const Shard& shard, const ShardSample& sample, std::vector<uint8_t>& out) const {
  thread_local std::vector<uint8_t> compressed, content;
  auto frame = first_frame(shard, sample);
  // Programs that cut by size put an image into two frames.
  for (uint64_t filled = 0; filled < sample.size; ++frame) {
    compressed.resize(static_cast<size_t>(frame->size)), content.resize(static_cast<size_t>(frame->content_size));
    files_[sample.shard]->read(frame->offset, compressed);
    try {
      decompress_zstd_frame(compressed, content);
    } catch (const Error& error) {
      throw Error(paths_[sample.shard] + " changed since it was indexed: " + std::string(index_.name(sample)) + " can't be read (" + error.what() +
                  "); " + cure());
    }
    const uint64_t begin = sample.offset + filled - frame->content_offset;
    const uint64_t count = std::min<uint64_t>(frame->content_size - begin, sample.size - filled);
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(begin), count, out.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += count;
  }
}

}  // namespace flowrun::io
