#include "io/json_text.h"

namespace flowrun::io {
namespace {

template <class Json>
std::string written(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string json_text(const nlohmann::json& value, int indent) { return written(value, indent); }
std::string json_text(const nlohmann::ordered_json& value, int indent) { return written(value, indent); }

}  // namespace flowrun::io
