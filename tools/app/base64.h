// Bytes as text, for files inside pages.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace flowrun::app {

/// RFC 4648, section 4: with padding, in one line.
std::string base64(std::span<const uint8_t> bytes);

}  // namespace flowrun::app
