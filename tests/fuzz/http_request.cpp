// Any bytes as the head of a request: none, or one whose parts hold what is promised.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tools/app/http/request.h"

using namespace flowrun::app;

namespace {

bool has_control(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  head_is_whole(bytes);
  const auto request = parse_request(bytes);
  if (!request) return 0;
  if (request->method.empty() || !request->path.starts_with('/') || has_control(request->path)) std::abort();
  for (const auto& [key, value] : request->query) {
    if (has_control(key) || has_control(value)) std::abort();
  }
  if (request->value("name").size() > size || request->host.size() > size) std::abort();
  return 0;
}
