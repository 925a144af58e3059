// SHA-256 (FIPS 180-4).
#pragma once

#include <string>
#include <string_view>

namespace flowrun::app {

/// 64 hex digits.
std::string sha256(std::string_view bytes);

}  // namespace flowrun::app
