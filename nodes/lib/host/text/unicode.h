// Properties of Unicode characters by which texts are split into words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flowrun::text {

/// mark: all that is no letter, number or white space; bytes that are not UTF-8 are marks, one each.
enum class Kind { letter, number, space, mark };

/// One character of a text.
struct Character {
  uint32_t code = 0;  // 0xFFFD for a byte that is not UTF-8
  size_t size = 0;    // bytes
  Kind kind = Kind::mark;
};

/// The character at `text[at]`; `at` must lie within the text. Categories L and N, and the property White_Space, of Unicode 14.
Character character(std::string_view text, size_t at);

/// In lower case, character by character: a capital sigma becomes σ everywhere. Other bytes stay.
std::string lower(std::string_view text);

void append_utf8(uint32_t code, std::string& out);

}  // namespace flowrun::text
