// S3 and Google's store by Apache Arrow's file systems. The URL gives the store's address and the account (?endpoint_override=, region=, scheme=);
// where it doesn't, the store's own variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …) and files do.
#include <algorithm>
#include <arrow/filesystem/filesystem.h>
#include <arrow/filesystem/gcsfs.h>
#include <arrow/filesystem/s3fs.h>
#include <arrow/io/interfaces.h>
#include <cstdlib>
#include <map>
#include <mutex>

#include "io/arrow/module.h"
#include "io/error.h"
#include "io/stores/object_store.h"

namespace flowrun::io {
namespace {

using arrow::fs::FileInfo;
using arrow::fs::FileSystem;

constexpr int attempts = 8;             // S3: pauses grow from 50 ms to some seconds
constexpr double attempt_seconds = 60;  // Google's store: in all

template <class T>
T value_of(arrow::Result<T> result, const std::string& url) {
  if (result.ok()) return std::move(result).ValueUnsafe();
  throw Error("cannot read " + url + ": " + result.status().message());
}

std::string without_options(const std::string& url) { return url.substr(0, url.find('?')); }
std::string options_of(const std::string& url) { return url.substr(std::min(url.find('?'), url.size())); }
/// "s3://bucket"
std::string bucket_of(const std::string& url) {
  const std::string plain = without_options(url);
  return plain.substr(0, plain.find('/', plain.find("//") + 2));
}

std::shared_ptr<FileSystem> open_s3(const std::string& url) {
  arrow::fs::S3GlobalOptions global = arrow::fs::S3GlobalOptions::Defaults();
  global.log_level = arrow::fs::S3LogLevel::Off;  // what fails is in the Status
  if (!arrow::fs::IsS3Initialized()) {
    const arrow::Status status = arrow::fs::InitializeS3(global);
    if (!status.ok()) throw Error("S3's client can't be started: " + status.message());
    std::atexit([] { (void)arrow::fs::FinalizeS3(); });
  }
  auto options = value_of(arrow::fs::S3Options::FromUri(url), url);
  options.retry_strategy = arrow::fs::S3RetryStrategy::GetAwsStandardRetryStrategy(attempts);
  return value_of(arrow::fs::S3FileSystem::Make(options), url);
}

std::shared_ptr<FileSystem> open_gcs(const std::string& url) {
  auto options = value_of(arrow::fs::GcsOptions::FromUri(url, nullptr), url);
  options.retry_limit_seconds = attempt_seconds;
  return value_of(arrow::fs::GcsFileSystem::Make(options), url);
}

class ArrowStore final : public ObjectStore {
 public:
  StoredObject find(const std::string& url) const override {
    const FileInfo info = value_of(system_of(url)->GetFileInfo(path_of(url)), url);
    if (info.type() == arrow::fs::FileType::File) return object(url, info);
    throw Error(info.type() == arrow::fs::FileType::Directory ? url + " is a folder, not an object" : "there is no " + url);
  }

  std::vector<StoredObject> list(const std::string& url) const override {
    arrow::fs::FileSelector below;
    below.base_dir = path_of(url), below.recursive = true;
    std::vector<StoredObject> out;
    const std::string scheme = url.substr(0, url.find("//") + 2);
    for (const FileInfo& info : value_of(system_of(url)->GetFileInfo(below), url)) {
      if (info.type() == arrow::fs::FileType::File) out.push_back(object(scheme + info.path() + options_of(url), info));
    }
    std::sort(out.begin(), out.end(), [](const StoredObject& a, const StoredObject& b) { return a.url < b.url; });
    return out;
  }

  void read(const StoredObject& object, uint64_t offset, std::span<uint8_t> out) const override {
    FileInfo info(path_of(object.url), arrow::fs::FileType::File);
    info.set_size(static_cast<int64_t>(object.size));  // known: the client asks for the range alone
    const auto file = value_of(system_of(object.url)->OpenInputFile(info), object.url);
    const int64_t got = value_of(file->ReadAt(static_cast<int64_t>(offset), static_cast<int64_t>(out.size()), out.data()), object.url);
    if (got != static_cast<int64_t>(out.size())) throw Error(object.url + " was cut short while it was open");
  }

 private:
  static StoredObject object(const std::string& url, const FileInfo& info) {
    return {url, static_cast<uint64_t>(info.size()), std::to_string(info.mtime().time_since_epoch().count())};
  }
  static std::string path_of(const std::string& url) {
    std::string path = without_options(url).substr(url.find("//") + 2);
    if (const size_t at = path.find('@'); at < path.find('/')) path = path.substr(at + 1);
    while (path.ends_with('/')) path.pop_back();
    return path;
  }

  /// One client for each bucket.
  std::shared_ptr<FileSystem> system_of(const std::string& url) const {
    const std::string key = bucket_of(url) + options_of(url);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<FileSystem>& system = systems_[key];
    if (!system) system = url.starts_with("s3:") ? open_s3(key) : open_gcs(key);
    return system;
  }

  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<FileSystem>> systems_;
};

}  // namespace

const ObjectStore& arrow_store() {
  static const ArrowStore& store = *new ArrowStore();
  return store;
}

}  // namespace flowrun::io
