// JSON as text. The only place of io/ that writes it: names of files need not be UTF-8.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::io {

// One line, or as many as the structure asks for. Bytes that are not UTF-8 become U+FFFD and never cause an exception.
template <class Json>
std::string json_text(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace flowrun::io
