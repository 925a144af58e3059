// JSON as text. The only place of io/ that writes it: names of files need not be UTF-8.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace flowrun::io {

/// One line, or as many as the structure asks for. Bytes that are not UTF-8 become U+FFFD and never cause an exception.
std::string json_text(const nlohmann::json& value, int indent = -1);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

}  // namespace flowrun::io
