#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace flowrun::io {

// Parses JSON from outside. Throws Error "WHERE: reason" on syntax errors, on a key given twice in one object
// (nlohmann's own parser keeps the last silently) and on nesting deeper than any file of ours has.
nlohmann::json parse_strict_json(std::string_view text, const std::string& where);

}  // namespace flowrun::io
