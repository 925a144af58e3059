// Object stores: S3 and what speaks its language, and Google's. Reached through libflowrun_arrow.so, which is opened when the first URL is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace flowrun::io {

struct StoredObject {
  std::string url;
  uint64_t size = 0;
  std::string version;  // of the content: the ETag, or the time of its writing
};

// Any thread. A request that fails is repeated by the store's client, with growing pauses; Error names the URL, and says what helps.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual StoredObject find(const std::string& url) const = 0;
  // All objects below the URL, sorted by URL; none: there are none.
  virtual std::vector<StoredObject> list(const std::string& url) const = 0;
  virtual void read(const StoredObject& object, uint64_t offset, std::span<uint8_t> out) const = 0;
};

const ObjectStore& object_store();

// The objects below a URL with one of these endings.
std::vector<StoredObject> list_objects(const std::string& url, std::span<const std::string> endings);

}  // namespace flowrun::io
