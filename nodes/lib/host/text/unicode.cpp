#include "nodes/lib/host/text/unicode.h"

#include <algorithm>
#include <iterator>

#include "nodes/lib/host/text/unicode_table.h"

namespace flowrun::text {
namespace {

constexpr uint32_t replacement = 0xfffd;

/// The entry whose first to last hold the code; null: none.
template <class Entry, size_t count>
const Entry* find(const Entry (&table)[count], uint32_t code) {
  const Entry* const after = std::upper_bound(table, table + count, code, [](uint32_t value, const Entry& entry) { return value < entry.first; });
  return after != table && code <= std::prev(after)->last ? std::prev(after) : nullptr;
}

bool is_space(uint32_t code) {
  return (code >= 9 && code <= 13) || code == ' ' || code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

Kind kind_of(uint32_t code) {
  if (is_space(code)) return Kind::space;
  if (find(letters, code) != nullptr) return Kind::letter;
  return find(numbers, code) != nullptr ? Kind::number : Kind::mark;
}

}  // namespace

Character character(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint32_t{0}; };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1, kind_of(first)};
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  uint32_t code = first & (0xffu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {replacement, 1, Kind::mark};
    code = code << 6 | (byte(i) & 0x3f);
  }
  static constexpr uint32_t least[] = {0x80, 0x800, 0x10000};
  const bool is_text = first >= 0xc0 && first < 0xf8 && code >= least[size - 2] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  if (!is_text) return {replacement, 1, Kind::mark};
  return {code, size, kind_of(code)};
}

void append_utf8(uint32_t code, std::string& out) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) return put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
  if (code < 0x10000) return put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const Character next = character(text, at);
    const Lower* const found = find(lower_case, next.code);
    if (found != nullptr && (next.code - found->first) % found->stride == 0) {
      append_utf8(static_cast<uint32_t>(static_cast<int32_t>(next.code) + found->distance), out);
    } else {
      out += text.substr(at, next.size);
    }
    at += next.size;
  }
  return out;
}

}  // namespace flowrun::text
