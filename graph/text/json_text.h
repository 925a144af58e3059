// JSON as text and back, compiled in one place: nlohmann's parser and serializer take seconds to compile wherever they are called.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace flowrun {

/// One line, or as many as the structure asks for. Bytes that are not UTF-8 (names of files need not be) become U+FFFD and never cause an exception.
std::string json_text(const nlohmann::json& value, int indent = -1);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

/// The value in a text; discarded (is_discarded()) if the text is not JSON.
nlohmann::ordered_json json_of(std::string_view text);

/// The text with U+FFFD in place of bytes that are not UTF-8: for terminals, logs and pages.
std::string as_utf8(std::string_view bytes);

}  // namespace flowrun
