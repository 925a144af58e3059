#include "io/stores/object_store.h"

#include <algorithm>

#include "io/stores/arrow_module.h"

namespace flowrun::io {

const ObjectStore& object_store() { return arrow_module("a URL").store(); }

std::vector<StoredObject> list_objects(const std::string& url, std::span<const std::string> endings) {
  std::vector<StoredObject> out = object_store().list(url);
  std::erase_if(out, [&](const StoredObject& object) {
    const std::string path = object.url.substr(0, object.url.find('?'));
    return std::ranges::none_of(endings, [&](const std::string& ending) { return path.ends_with(ending); });
  });
  return out;
}

}  // namespace flowrun::io
