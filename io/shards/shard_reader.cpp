#include "io/shards/shard_reader.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "io/error.h"

namespace flowrun::io {

namespace {

namespace fs = std::filesystem;

/// Shards stay open, often more than the 1024 files that a shell allows by default; the hard limit is far higher.
void allow_open_files(size_t count) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, limit.rlim_cur + count);
  if (count + 256 <= limit.rlim_cur || wanted <= limit.rlim_cur) return;
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);  // open() says so where this did not help
}

ShardIndex read_index(const fs::path& path) {
  const fs::path file = shard_index_path(path);
  if (!fs::exists(file)) {
    if (!fs::exists(path)) throw Error("there is no " + path.string());
    throw Error("no " + std::string(shard_index_name) + " in " + path.string() + ": run flowrun index " + path.string());
  }
  std::vector<uint8_t> bytes;
  read_file(file, bytes);
  return parse_shard_index(bytes, file.string());
}

}  // namespace

ShardReader::ShardReader(const fs::path& path) : folder_(shard_index_path(path).parent_path()), index_(read_index(path)) { open_shards(); }

ShardReader::ShardReader(ShardIndex index, const fs::path& folder) : folder_(folder), index_(std::move(index)) { open_shards(); }

std::string ShardReader::cure() const { return "run flowrun index " + (folder_.empty() ? std::string(".") : folder_.string()); }

void ShardReader::open_shards() {
  allow_open_files(index_.shards.size());
  for (const Shard& shard : index_.shards) {
    const fs::path path = folder_ / shard.name;
    if (!fs::exists(path)) throw Error(path.string() + " is missing, but the index names it: fetch it, or " + cure());
    FileDescriptor file = open_regular_file(path);
    struct stat status {};
    if (fstat(file.get(), &status) != 0) throw system_error("examine", path, errno);
    const auto size = static_cast<uint64_t>(status.st_size);
    if (size < shard.size) {
      throw Error(path.string() + " is cut short, or not the shard that was indexed: it has " + std::to_string(size) + " of " +
                  std::to_string(shard.size) + " bytes; fetch it again, or " + cure());
    }
    if (size > shard.size || shard_fingerprint(file.get(), size, path) != shard.fingerprint) {
      throw Error(path.string() + " is not the shard that was indexed: " + cure());
    }
    paths_.push_back(path), files_.push_back(std::move(file));
  }
}

std::string ShardReader::key(size_t sample) const {
  const ShardSample& s = index_.samples[sample];
  return paths_[s.shard].string() + ": " + std::string(index_.name(s));
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
    read_at(files_[s.shard].get(), s.offset, out, paths_[s.shard]);
  } else {
    read_frames(shard, s, out);
  }
  if (verify && hash_of(out) != s.hash) {
    throw Error(paths_[s.shard].string() + " changed since it was indexed: " + std::string(index_.name(s)) + " has other bytes; " + cure());
  }
}

void ShardReader::prefetch(size_t sample) const {
  const ShardSample& s = index_.samples[sample];
  const Shard& shard = index_.shards[s.shard];
  uint64_t offset = s.offset, size = s.size;
  if (shard.frames > 0) offset = first_frame(shard, s)->offset, size = first_frame(shard, s)->size;
  (void)posix_fadvise(files_[s.shard].get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
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
    read_at(files_[sample.shard].get(), frame->offset, compressed, paths_[sample.shard]);
    try {
      decompress_zstd_frame(compressed, content);
    } catch (const Error& error) {
      throw Error(paths_[sample.shard].string() + " changed since it was indexed: " + std::string(index_.name(sample)) + " can't be read (" +
                  error.what() + "); " + cure());
    }
    const uint64_t begin = sample.offset + filled - frame->content_offset;
    const uint64_t count = std::min<uint64_t>(frame->content_size - begin, sample.size - filled);
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(begin), count, out.begin() + static_cast<std::ptrdiff_t>(filled));
    filled += count;
  }
}

}  // namespace flowrun::io
