#include "io/stores/random_file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/error.h"
#include "io/file.h"
#include "io/stores/arrow_module.h"
#include "io/stores/block_cache.h"
#include "io/stores/object_store.h"

namespace flowrun::io {
namespace {

class DiskFile final : public RandomFile {
 public:
  explicit DiskFile(const std::string& path) : path_(path), file_(open_regular_file(path)) {
    struct stat status {};
    if (fstat(file_.get(), &status) != 0) throw system_error("examine", path, errno);
    size_ = static_cast<uint64_t>(status.st_size);
    version_ = std::to_string(status.st_size) + " " + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
  }
  uint64_t size() const override { return size_; }
  void read(uint64_t offset, std::span<uint8_t> out) const override {
    while (!out.empty()) {
      const ssize_t count = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw system_error("read", path_, errno);
      if (count == 0) throw Error(path_ + " was cut short while it was open");
      out = out.subspan(static_cast<size_t>(count)), offset += static_cast<uint64_t>(count);
    }
  }
  void prefetch(uint64_t offset, uint64_t size) const override {
    (void)posix_fadvise(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
  }
  std::string version() const override { return version_; }

 private:
  std::string path_, version_;
  FileDescriptor file_;
  uint64_t size_ = 0;
};

class ObjectFile final : public RandomFile {
 public:
  explicit ObjectFile(const std::string& url) : store_(arrow_module(url).store()), object_(store_.find(url)) {}
  uint64_t size() const override { return object_.size; }
  void read(uint64_t offset, std::span<uint8_t> out) const override {
    if (offset > object_.size || out.size() > object_.size - offset)
      throw Error(object_.url + " has only " + std::to_string(object_.size) + " bytes");
    BlockCache* const cache = block_cache();
    cache != nullptr ? cache->read(store_, object_, offset, out) : store_.read(object_, offset, out);
  }
  void prefetch(uint64_t, uint64_t) const override {}
  std::string version() const override { return object_.version; }

 private:
  const ObjectStore& store_;
  StoredObject object_;
};

}  // namespace

bool is_url(const std::string& path) { return path.starts_with("s3://") || path.starts_with("gs://"); }

std::string folder_of(const std::string& path) {
  const size_t query = is_url(path) ? path.find('?') : std::string::npos;
  const size_t slash = path.rfind('/', query);
  return slash == std::string::npos ? "" : path.substr(0, slash) + (query == std::string::npos ? "" : path.substr(query));
}

std::string join_path(const std::string& folder, const std::string& name) {
  if (folder.empty() || is_url(name) || name.starts_with('/')) return name;
  const size_t query = is_url(folder) ? folder.find('?') : std::string::npos;
  const std::string base = folder.substr(0, query), options = query == std::string::npos ? "" : folder.substr(query);
  return base + (base.ends_with('/') ? "" : "/") + name + options;
}

void allow_open_files(size_t count) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::min<rlim_t>(limit.rlim_max, limit.rlim_cur + count);
  if (count + 256 <= limit.rlim_cur || wanted <= limit.rlim_cur) return;
  limit.rlim_cur = wanted;
  setrlimit(RLIMIT_NOFILE, &limit);  // open() says so where this did not help
}

std::unique_ptr<RandomFile> open_random_file(const std::string& path) {
  if (is_url(path)) return std::make_unique<ObjectFile>(path);
  return std::make_unique<DiskFile>(path);
}

}  // namespace flowrun::io
