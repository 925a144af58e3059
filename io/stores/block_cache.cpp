#include "io/stores/block_cache.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "io/error.h"
#include "io/file.h"

namespace flowrun::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* ending = ".block";

/// Whether the block is there and whole; then its bytes from BEGIN are in OUT, and it counts as just used.
bool read_kept(const fs::path& path, uint64_t size, uint64_t begin, std::span<uint8_t> out) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0 || static_cast<uint64_t>(status.st_size) != size) return false;
  while (!out.empty()) {
    const ssize_t count = ::pread(file.get(), out.data(), out.size(), static_cast<off_t>(begin));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    out = out.subspan(static_cast<size_t>(count)), begin += static_cast<uint64_t>(count);
  }
  (void)futimens(file.get(), nullptr);
  return true;
}

}  // namespace

BlockCache::BlockCache(fs::path folder, uint64_t limit) : folder_(std::move(folder)), limit_(limit) {}

void BlockCache::read(const ObjectStore& store, const StoredObject& object, uint64_t offset, std::span<uint8_t> out) {
  while (!out.empty()) {
    const uint64_t block = offset / block_bytes, begin = offset % block_bytes;
    const auto count = static_cast<size_t>(std::min<uint64_t>(out.size(), block_bytes - begin));
    read_block(store, object, block, begin, out.first(count));
    out = out.subspan(count), offset += count;
  }
}

/// Of several threads that want a block, one fetches it.
void BlockCache::read_block(const ObjectStore& store, const StoredObject& object, uint64_t block, uint64_t begin, std::span<uint8_t> out) {
  const fs::path path = path_of(object, block);
  const uint64_t size = std::min(block_bytes, object.size - block * block_bytes);
  // Blocks are read without the lock, which would put all threads of an input in a row.
  for (bool mine = false; !mine;) {
    if (read_kept(path, size, begin, out)) return;
    std::unique_lock lock(mutex_);
    mine = fetching_.insert(path).second;
    if (!mine) fetched_.wait(lock, [&] { return !fetching_.contains(path); });
  }
  const auto done = [&] {
    const std::lock_guard lock(mutex_);
    fetching_.erase(path);
    fetched_.notify_all();
  };
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  try {
    store.read(object, block * block_bytes, bytes);
  } catch (...) {
    done();
    throw;
  }
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
  keep(path, bytes);
  done();
}

fs::path BlockCache::path_of(const StoredObject& object, uint64_t block) const {
  const std::string identity = object.url + '\n' + std::to_string(object.size) + '\n' + object.version;
  const XXH128_hash_t hash = XXH3_128bits(identity.data(), identity.size());
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "%016llx%016llx-%llu%s", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64), static_cast<unsigned long long>(block), ending);
  return folder_ / name.data();
}

/// A block that can't be kept is only slower.
void BlockCache::keep(const fs::path& path, std::span<const uint8_t> bytes) {
  {
    const std::lock_guard lock(mutex_);
    writing_ += bytes.size(), used_ += bytes.size();
    if (!looked_ || used_ > limit_) make_room();
  }
  try {
    fs::create_directories(folder_);
    write_file_atomic(path, std::as_bytes(bytes));
  } catch (const std::exception&) {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
  const std::lock_guard lock(mutex_);
  writing_ -= bytes.size();
}

/// Looks at the folder, and removes the oldest blocks down to nine tenths of the limit if it holds more. Under the lock.
void BlockCache::make_room() {
  struct Kept {
    fs::file_time_type used;
    uint64_t size;
    fs::path path;
  };
  std::vector<Kept> all;
  uint64_t total = 0;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder_, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    std::error_code gone;
    if (it->path().extension() != ending) continue;
    const Kept kept{it->last_write_time(gone), it->file_size(gone), it->path()};
    if (!gone) all.push_back(kept), total += kept.size;
  }
  looked_ = true, used_ = total + writing_;
  if (used_ <= limit_) return;
  std::sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) { return a.used < b.used; });
  for (const Kept& kept : all) {
    if (used_ <= limit_ / 10 * 9) return;
    if (fs::remove(kept.path, error) || error == std::errc::no_such_file_or_directory) used_ -= kept.size;
  }
}

BlockCache* block_cache() {
  static const std::unique_ptr<BlockCache> cache = []() -> std::unique_ptr<BlockCache> {
    const char* const gib = std::getenv("FLOWRUN_BLOCKS_GIB");
    const double size = gib != nullptr ? std::strtod(gib, nullptr) : 20;
    if (!(size > 0)) return nullptr;
    const char *const chosen = std::getenv("FLOWRUN_BLOCKS"), *const caches = std::getenv("XDG_CACHE_HOME"), *const home = std::getenv("HOME");
    fs::path folder = chosen != nullptr   ? fs::path(chosen)
                      : caches != nullptr ? fs::path(caches) / "flowrun/blocks"
                                          : fs::path(home != nullptr ? home : "/tmp") / ".cache/flowrun/blocks";
    return std::make_unique<BlockCache>(std::move(folder), static_cast<uint64_t>(size * 1073741824));
  }();
  return cache.get();
}

}  // namespace flowrun::io
